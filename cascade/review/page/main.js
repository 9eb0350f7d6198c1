// The review page: one item at a time, decided by keys.

import * as api from "./api.js";
import { byId, counted, fill, make } from "./dom.js";
import { Facets } from "./facets.js";
import { showFigures } from "./figures.js";
import { showAnswer, showItem, showPicture, showWhy, titleOf } from "./item.js";
import { Search, Tree } from "./tree.js";

const ORDERS = {
  asked: "As asked for",
  doubt: "Most in doubt first",
  value: "What teaches most first",
  random: "At random, to measure",
  conflicts: "Conflicts of reviewers",
};
const SOONEST = 150; // milliseconds that an item is there before it can be decided
const LAST = 20; // decisions that the pace is told from
const OFTEN = 10; // decisions after which the counts are asked for

const state = { item: null, since: 0, busy: false, reviewer: "", below: null, counts: null, times: [], loading: null };

const tree = new Tree({ file: fileUnder, leave: toItem });
const search = new Search({ tree, file: fileUnder, leave: toItem });
const facets = new Facets({ changed: showAccept, leave: toItem, trouble });
const act = { reveal: (code) => tree.reveal(code), file: fileUnder };

const queue = () => ({
  order: byId("order").value || "doubt",
  words: byId("words").value.trim(),
  below: state.below?.code ?? null,
});

async function begin() {
  byId("keys").checked = localStorage.getItem("cascade-review-keys") !== "off";
  try {
    const about = await api.get("session");
    state.counts = about;
    facets.faceted = about.faceted;
    byId("name").textContent = about.name;
    document.title = `Review: ${about.name}`;
    const orders = about.orders.filter((order) => order !== "asked" || about.asked);
    fill(byId("order"), ...orders.map((order) => make("option", { value: order }, ORDERS[order] ?? order)));
    const kept = sessionStorage.getItem("cascade-review-order");
    if (orders.includes(kept)) byId("order").value = kept;
    showCounts();
    name(localStorage.getItem("cascade-review-name") ?? "");
    if (!state.reviewer) askName();
    else await next();
  } catch (error) {
    trouble(error);
  }
}

function name(given) {
  state.reviewer = given;
  byId("who").textContent = given || "Who?";
}

function askName() {
  byId("reviewer").value = state.reviewer;
  byId("naming").showModal();
}

async function next() {
  await changing(async () => present(await api.post("next", { reviewer: state.reviewer, queue: queue() })));
}

/** One change at a time; keys in between are not taken for the next item. */
async function changing(change) {
  if (state.busy) return;
  state.busy = true;
  try {
    await change();
  } catch (error) {
    trouble(error);
  } finally {
    state.busy = false;
  }
}

function trouble(error) {
  if (!(error instanceof api.Refused) && error.name !== "TypeError") console.error(error);
  const why = error instanceof api.Refused ? error.message : "The server does not answer; is it running?";
  byId("trouble").textContent = why;
  byId("trouble").hidden = false;
}

function present({ row }, told = "") {
  byId("trouble").hidden = true;
  state.loading?.abort();
  state.item = row;
  state.since = performance.now();
  byId("comment").value = "";
  search.clear();
  for (const id of ["accept", "nowhere", "skip"]) byId(id).disabled = row === null;
  if (row === null) {
    nothingLeft(told);
    return;
  }
  showItem(row);
  showAnswer(row, act);
  facets.show(row.answer.code);
  const proposed = row.answer.path.length ? `Answer: ${row.answer.path.map((level) => level.name).join(", ")}.` : "No answer.";
  tell(told, `${titleOf(row)}. ${proposed}`);
  window.scrollTo(0, 0); // where the page is narrow, it scrolls as a whole
  toItem();
  const loading = (state.loading = new AbortController());
  const { path } = row.answer;
  tree.show(path.length ? { codes: path.map((level) => level.code), leaf: true } : null).catch(trouble);
  showPicture(row, loading.signal);
  explain(row, loading);
}

async function explain(row, loading) {
  try {
    const query = new URLSearchParams({ reviewer: state.reviewer });
    const why = await api.get(`rows/${row.row}/why?${query}`, loading.signal);
    if (state.item !== row) return;
    showWhy(row, why, act);
    if (why.loading) setTimeout(() => state.item === row && explain(row, loading), 2000);
  } catch (error) {
    if (error.name !== "AbortError") byId("no-examples").textContent = `Why is not known: ${error.message}`;
  }
}

/** Show in few words what happened, and say it with what comes next. */
function tell(text, more = "") {
  byId("told").textContent = text;
  byId("announced").textContent = `${text} ${more}`.trim();
}

function nothingLeft(told) {
  byId("number").textContent = "";
  byId("title").textContent = "Nothing is left in this queue.";
  byId("title").classList.remove("long");
  fill(byId("cells"));
  byId("picture").hidden = true;
  byId("legend").hidden = true;
  for (const id of ["path", "candidates", "examples", "verdicts"]) fill(byId(id));
  byId("said").hidden = true;
  facets.show(null);
  byId("verdict").textContent = "Choose another queue, or see the figures.";
  byId("no-examples").textContent = "";
  tell(told, "Nothing is left in this queue.");
  tree.show(null).catch(trouble);
}

function toItem() {
  byId("title").focus({ preventScroll: true });
}

/** File under a node. Of a code with facets, that was changed or is with `shift`, it becomes the base term. */
function fileUnder(code, called, shift = false) {
  if (!code) return;
  if (facets.faceted && (shift || facets.edited)) {
    facets.take(code);
    search.clear();
    toItem();
    tell(`${called} is the base term now; Enter files the code.`);
    return;
  }
  decide(code === state.item?.answer.code ? "accept" : "choose", code, called);
}

/** What the main button does: accept the answer, or file the code with its changed facets. */
function accept() {
  if (facets.edited) decide("choose", facets.code, facets.called);
  else decide("accept");
}

function showAccept() {
  const { edited } = facets;
  byId("accept").firstChild.textContent = edited ? "File this code " : "Accept ";
  byId("accept").disabled = !edited && !state.item?.answer.code;
}

async function decide(action, code = null, called = null) {
  const { item } = state;
  if (!item || (action === "accept" && item.answer.code === null)) return;
  const seconds = (performance.now() - state.since) / 1000;
  if (seconds * 1000 < SOONEST) return;
  await changing(async () => {
    const answered = await api.post("decisions", {
      ...{ reviewer: state.reviewer, row: item.row, action, code, seconds, queue: queue() },
      ...{ comment: byId("comment").value, request: api.requestName() },
    });
    if (action !== "skip") {
      state.times = [...state.times, Date.now()].slice(-LAST - 1);
      state.counts.decided += 1;
    }
    present(answered, toldOf(action, called ?? item.answer.path.at(-1)?.name));
    showCounts();
    if (state.times.length % OFTEN === 0) refresh();
  });
}

function toldOf(action, called) {
  if (action === "skip") return "Skipped; it comes again at the end.";
  return action === "nowhere" ? "Filed nowhere." : `Filed under ${called}.`;
}

async function undo() {
  await changing(async () => {
    const { row } = await api.post("undo", { reviewer: state.reviewer, request: api.requestName() });
    if (row === null) {
      tell("There is nothing to undo.");
      return;
    }
    state.times.pop();
    present({ row }, "Taken back.");
    refresh();
  });
}

async function refresh() {
  try {
    Object.assign(state.counts, await api.get("figures"));
    showCounts();
  } catch { /* the counts are told again later */ }
}

function showCounts() {
  const { decided, rows, asked, answered } = state.counts;
  const of = byId("order").value === "asked" && asked ? { done: answered, all: asked } : { done: decided, all: rows };
  byId("done").value = Math.min(of.done, of.all);
  byId("done").max = of.all;
  byId("count").textContent = `${of.done.toLocaleString("en")} of ${of.all.toLocaleString("en")}`;
  const { times } = state;
  const minutes = (times.at(-1) - times[0]) / 60_000;
  byId("pace").textContent = times.length > 4 && minutes > 0 ? `${((times.length - 1) / minutes).toFixed(0)} a minute` : "";
}

function setBelow(node) {
  state.below = node;
  byId("below").hidden = node === null;
  byId("below").textContent = node ? `below ${node.name} ✕` : "";
  byId("below").setAttribute("aria-label", node ? `Only answers below ${node.name}; remove` : "");
  next();
}

const KEYS = {
  a: accept,
  Enter: accept,
  n: () => decide("nowhere"),
  s: () => decide("skip"),
  u: undo,
  z: undo,
  c: () => byId("comment").focus(),
  o: () => byId("order").focus(),
  e: () => byId("facets").hidden || facets.finder.focus(),
  f: () => byId("words").focus(),
  b: () => tree.selected && setBelow({ code: tree.selected, name: tree.selectedName }),
  g: figures,
  p: () => byId("picture").hidden || byId("large").showModal(),
  "/": () => search.focus(),
  "?": () => byId("help").showModal(),
  Escape: toItem,
};
const ALWAYS = ["Enter", "Escape"];

async function figures() {
  try {
    Object.assign(state.counts, await showFigures());
    showCounts();
  } catch (error) {
    trouble(error);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") toItem();
    else if (event.key === "Enter" && event.target.id === "comment") toItem();
    else return;
    event.preventDefault();
    return;
  }
  if (event.key === "Enter" && event.target.matches("button, a, summary")) return;
  if (event.key.startsWith("Arrow") && !event.target.closest("main > section:not(#item)")) {
    event.preventDefault();
    tree.walk(event);
    return;
  }
  if (!byId("keys").checked && !ALWAYS.includes(event.key)) return;
  const candidate = /^[1-9]$/.test(event.key) ? state.item?.candidates[Number(event.key) - 1] : null;
  const found = candidate ? () => fileUnder(candidate.code, candidate.name) : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!found || event.repeat) return;
  event.preventDefault();
  found();
});

byId("accept").addEventListener("click", accept);
for (const action of ["nowhere", "skip"]) byId(action).addEventListener("click", () => decide(action));
byId("undo").addEventListener("click", undo);
byId("show-help").addEventListener("click", KEYS["?"]);
byId("show-figures").addEventListener("click", figures);
byId("picture").addEventListener("click", KEYS.p);
byId("who").addEventListener("click", askName);
byId("below").addEventListener("click", () => setBelow(null));
byId("keys").addEventListener("change", () => localStorage.setItem("cascade-review-keys", byId("keys").checked ? "on" : "off"));
byId("order").addEventListener("change", () => {
  sessionStorage.setItem("cascade-review-order", byId("order").value);
  showCounts();
  next();
});
byId("words").addEventListener("change", next);
byId("naming").addEventListener("close", () => {
  const given = byId("reviewer").value.trim();
  if (!given) return state.reviewer || askName();
  name(given);
  localStorage.setItem("cascade-review-name", given);
  return next();
});

begin();
