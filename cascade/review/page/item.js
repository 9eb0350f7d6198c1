// The item and its answer, as they are shown.

import * as api from "./api.js";
import { bar, byId, counted, fill, make, percent } from "./dom.js";

const LONG = 160; // characters from which a title is set small
const STATUS = {
  ok: "accepted by the classifier",
  review: "sent to a person",
  partial: "as far as was sure",
  nowhere: "seems to fit nowhere",
  error: "not answered",
};
const MARKED = 0.02; // change of confidence from which a word is marked

/** The texts that items are made of, in one; of an item without any, what it has. */
export function titleOf(item) {
  const read = item.cells.filter((cell) => cell.read && cell.text.trim());
  return (read[0] ?? item.cells.find((cell) => cell.text.trim()))?.text.trim() ?? "";
}

export function showItem(item) {
  const titled = item.cells.find((cell) => cell.read && cell.text.trim()) ?? item.cells.find((cell) => cell.text.trim());
  const key = item.key ? ` · ${item.key}` : "";
  const notes = [item.skipped ? "skipped before" : "", item.double ? "two reviewers" : ""].filter(Boolean);
  byId("number").textContent = [`Row ${item.row.toLocaleString("en")}${key}`, ...notes].join(" · ");
  const title = byId("title");
  title.textContent = titled?.text.trim() ?? "(no text)";
  title.classList.toggle("long", title.textContent.length > LONG);
  title.dataset.field = titled?.name ?? "";
  fill(
    byId("cells"),
    ...item.cells
      .filter((cell) => cell !== titled && cell.text.trim())
      .flatMap((cell) => [
        make("dt", {}, cell.name),
        make("dd", { "data-field": cell.name }, cell.text.trim() + (cell.cut ? ` … (${cell.cut} characters more)` : "")),
      ]),
  );
  byId("legend").hidden = true;
  byId("item").scrollTop = 0;
}

/** The picture of an item, when it has come. */
export async function showPicture(item, signal) {
  const button = byId("picture");
  const image = byId("image");
  button.hidden = true;
  if (image.src) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  if (!item.picture) return;
  try {
    image.src = URL.createObjectURL(await api.blob(`rows/${item.row}/picture`, signal));
    byId("large-image").src = image.src;
    button.hidden = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("cells").append(make("dt", {}, "picture"), make("dd", { class: "note" }, error.message));
  }
}

export function showAnswer(item, act) {
  const { answer } = item;
  const status = STATUS[answer.status] ?? answer.status;
  const why = answer.message ? `: ${answer.message}` : "";
  byId("verdict").textContent = answer.code === null && !answer.status ? "No answer yet." : `${status}${why}`;
  showPath(answer.path, act);
  const conflicting = new Set(item.verdicts.map((verdict) => verdict.code)).size > 1;
  byId("said").hidden = item.verdicts.length === 0;
  fill(
    byId("verdicts"),
    ...item.verdicts.map((verdict) =>
      make(
        "li",
        {},
        make("strong", {}, verdict.reviewer, ": "),
        verdict.node ? verdict.node.path.join(" › ") : "nowhere",
        verdict.code?.includes("#") ? make("span", { class: "code" }, " ", verdict.code) : null,
        verdict.comment ? make("span", { class: "above" }, verdict.comment) : null,
      ),
    ),
  );
  if (conflicting) byId("verdict").textContent = "Reviewers disagree; your decision counts.";
  const nothing = answer.code === null;
  byId("accept").disabled = nothing;
  showCandidates(item, act);
  fill(byId("examples"));
  byId("no-examples").textContent = "";
}

function showPath(path, act) {
  fill(
    byId("path"),
    ...path.map((level, at) => {
      const said = level.confidence === null ? "" : `, ${percent(level.confidence)} sure`;
      const shown = make(
        "li",
        {},
        make(
          "button",
          { class: "row line", onclick: () => act.reveal(level.code), "aria-label": `Level ${at + 1}: ${level.name}${said}. Show in the tree` },
          make("span", { class: "name" }, level.name),
          bar(level.confidence),
          make("span", { class: "figure" }, percent(level.confidence)),
        ),
      );
      shown.style.setProperty("--level", at);
      return shown;
    }),
  );
}

function showCandidates(item, act) {
  fill(
    byId("candidates"),
    ...item.candidates.map((candidate, at) => {
      const above = candidate.path.slice(0, -1).join(" › ");
      const like = candidate.like ? make("span", { class: "like" }, ` ${counted(candidate.like, "row like it", "rows like it")}`) : null;
      const sure = candidate.confidence === null ? "" : `, ${percent(candidate.confidence)}`;
      const label = `${at + 1}: ${candidate.path.join(", ")}${sure}${like ? `,${like.textContent}` : ""}. File here`;
      return make(
        "li",
        { class: candidate.code === item.answer.code ? "answer" : null },
        make(
          "button",
          { class: "row line", onclick: () => act.file(candidate.code, candidate.name), "aria-label": label, "aria-keyshortcuts": at + 1 },
          make("span", { class: "digit" }, make("kbd", {}, String(at + 1))),
          make("span", { class: "name" }, candidate.name, like, above ? make("span", { class: "above" }, above) : null),
          bar(candidate.confidence),
          make("span", { class: "figure" }, percent(candidate.confidence)),
        ),
      );
    }),
  );
}

/** What came later: levels, candidates with votes, rows like it, and the words that mattered. */
export function showWhy(item, why, act) {
  const known = new Map(why.levels.map((level) => [level.code, level.confidence]));
  const path = item.answer.path.map((level) => ({ ...level, confidence: level.confidence ?? known.get(level.code) ?? null }));
  showPath(path, act);
  item.candidates = why.candidates;
  showCandidates(item, act);
  fill(
    byId("examples"),
    ...why.examples.map((example) =>
      make(
        "li",
        {},
        make("span", {}, example.text || "a row that the pack was fitted to"),
        make("span", { class: "figure", title: "How similar it is" }, percent(example.similarity)),
        make("span", { class: "above" }, example.node.path.join(" › ")),
      ),
    ),
  );
  byId("no-examples").textContent = why.examples.length ? "" : why.loading ? "Models are loading …" : "None yet: what you decide votes for items like it.";
  const marked = markWords(why.words);
  byId("legend").hidden = !marked;
}

function markWords(words) {
  const most = Math.max(...words.map((word) => Math.abs(word.weight)), 0);
  if (most < MARKED) return false;
  const fields = new Map();
  for (const word of words) {
    if (Math.abs(word.weight) < MARKED) continue;
    fields.set(word.field, [...(fields.get(word.field) ?? []), word]);
  }
  let marked = false;
  for (const [field, found] of fields) {
    for (const element of [byId("title"), ...byId("cells").querySelectorAll("dd")]) {
      if (element.dataset.field === field) marked = markIn(element, found, most) || marked;
    }
  }
  return marked;
}

/** Mark words where they stand; they are found again by their text, in order. */
function markIn(element, words, most) {
  const text = element.textContent;
  const parts = [];
  let from = 0;
  for (const word of [...words].sort((a, b) => a.start - b.start)) {
    const at = text.indexOf(word.text, from);
    if (at < 0) continue;
    const mark = make("mark", { class: word.weight > 0 ? "for" : "against", title: `${word.weight > 0 ? "+" : "−"}${percent(Math.abs(word.weight))} for the answer` }, word.text);
    mark.style.setProperty("--much", (0.08 + 0.26 * Math.abs(word.weight) / most).toFixed(2));
    parts.push(text.slice(from, at), mark);
    from = at + word.text.length;
  }
  if (!parts.length) return false;
  fill(element, ...parts, text.slice(from));
  return true;
}
