// Progress, agreement and what the random part tells of the rest.

import * as api from "./api.js";
import { byId, counted, fill, make, percent } from "./dom.js";

const exactly = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)}%`);
const kappa = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

export async function showFigures() {
  const figures = await api.get("figures");
  const { estimate, agreement } = figures;
  fill(
    byId("figures-body"),
    make("p", {}, `${counted(figures.decided, "row is", "rows are")} decided of ${figures.rows.toLocaleString("en")}; ${counted(figures.conflicts, "conflict is", "conflicts are")} open.`),
    make("h3", {}, "How right are the answers that nobody looked at?"),
    ...rest(estimate),
    make("h3", {}, "How far do reviewers agree?"),
    ...agreeing(agreement),
    make("h3", {}, "Who decided"),
    table(["reviewer", "rows"], figures.reviewers.map((who) => [who.reviewer, who.decided.toLocaleString("en")])),
    make("h3", {}, "The decided rows as a file"),
    make(
      "p",
      {},
      ...["csv", "jsonl"].flatMap((kind) => [
        make("button", { onclick: () => download("all", kind) }, `All as ${kind.toUpperCase()}`), " ",
        make("button", { onclick: () => download("random", kind) }, `Random part as ${kind.toUpperCase()}`), " ",
      ]),
    ),
  );
  byId("figures").showModal();
  return figures;
}

function rest(estimate) {
  if (!estimate.exact.rows) {
    return [make("p", { class: "note" }, "Not known yet. Decide some rows of the queue “random”: 100 tell it to within about ten points.")];
  }
  const line = (share, what) => make("p", {}, make("span", { class: "big" }, exactly(share.share)), ` ${what} (95% interval ${exactly(share.low)} to ${exactly(share.high)})`);
  const open = estimate.open ? ` Of ${estimate.open} of them reviewers disagree: they count as wrong in the lower end, as right in the upper.` : "";
  return [
    line(estimate.exact, "are exactly right"),
    line(estimate.above, "are right as far as they go"),
    make("p", { class: "note" }, `From ${counted(estimate.exact.rows, "row", "rows")} of the random part, for ${counted(estimate.rest, "row", "rows")} that nobody looked at.${open}`),
  ];
}

function agreeing(agreement) {
  if (!agreement.rows) return [make("p", { class: "note" }, "No row has been looked at by two reviewers.")];
  return [
    make("p", {}, `Krippendorff’s alpha ${kappa(agreement.alpha)}, over the tree ${kappa(agreement.alpha_tree)}, on ${counted(agreement.rows, "row", "rows")}.`),
    table(
      ["reviewers", "rows", "same", "Cohen’s kappa"],
      agreement.pairs.map((pair) => [pair.reviewers.join(" and "), pair.rows, percent(pair.agreed / pair.rows), kappa(pair.kappa)]),
    ),
  ];
}

function table(heads, rows) {
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) => make("td", { class: at ? "number" : null }, String(cell)))))),
  );
}

async function download(part, kind) {
  try {
    const data = await api.blob(`export.${kind}?part=${part}`);
    const link = make("a", { href: URL.createObjectURL(data), download: `reviewed-${part}.${kind}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    byId("figures-body").append(make("p", { role: "alert" }, error.message));
  }
}
