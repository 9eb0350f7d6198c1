"use strict";
// Tables that sort by a column, filter by a text and by a choice, and show a part at a time.
(() => {
  const number = (text) => {
    const value = Number(text.replaceAll(",", "").replace("\u2212", "-"));
    return text && !Number.isNaN(value) ? value : null;
  };

  const enhance = (root) => {
    const body = root.querySelector("tbody");
    const heads = [...root.querySelectorAll("thead th")];
    const find = root.querySelector("input");
    const choices = [...root.querySelectorAll("select")];
    const status = root.querySelector(".shown");
    const more = root.querySelector(".more");
    const page = Number(root.dataset.page);
    let rows = [...body.rows].map((element, place) => ({ element, place }));
    let limit = page;

    const text = (row) => {
      if (row.text === undefined) {
        const cells = row.element.querySelectorAll(".find");
        const parts = [...(cells.length ? cells : [row.element])];
        const full = parts.flatMap((part) => [...part.querySelectorAll("[title]")]);
        row.text = [...parts.map((p) => p.textContent), ...full.map((f) => f.title)]
          .join(" ").replace(/\s+/g, " ").toLocaleLowerCase();
      }
      return row.text;
    };

    const show = () => {
      const wanted = find.value.trim().replace(/\s+/g, " ").toLocaleLowerCase();
      const chosen = choices.filter((choice) => choice.value);
      const kept = rows.filter((row) =>
        chosen.every((choice) => row.element.dataset[choice.dataset.key] === choice.value) &&
        (!wanted || text(row).includes(wanted)));
      const visible = new Set(kept.slice(0, limit));
      for (const row of rows) row.element.hidden = !visible.has(row);
      const count = (n) => n.toLocaleString("en");
      const all = kept.length === rows.length ? "" : ` (of ${count(rows.length)})`;
      status.textContent =
        `${count(visible.size)} of ${count(kept.length)} ${status.dataset.noun}${all}`;
      const rest = kept.length - visible.size;
      more.hidden = !rest;
      more.firstElementChild.textContent = `Show ${count(Math.min(rest, 5 * page))} more`;
    };

    const sort = (column, direction) => {
      const numeric = heads[column].dataset.kind === "number";
      const value = (row) => {
        const cell = row.element.cells[column].textContent.trim();
        return numeric ? number(cell) : cell || null;
      };
      const order = numeric ? (a, b) => a - b : new Intl.Collator(undefined, { numeric: true }).compare;
      const sign = direction === "ascending" ? 1 : -1;
      const keyed = rows.map((row) => [value(row), row]);
      keyed.sort(([a, first], [b, second]) => {
        if (a === null || b === null) return (a === null) - (b === null) || first.place - second.place;
        return sign * order(a, b) || first.place - second.place;
      });
      rows = keyed.map(([, row]) => row);
      body.append(...rows.map((row) => row.element));
      for (const head of heads) head.removeAttribute("aria-sort");
      heads[column].setAttribute("aria-sort", direction);
      limit = page;
      show();
    };

    heads.forEach((head, column) => {
      if (!head.dataset.kind) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      const first = head.dataset.kind === "number" ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      button.addEventListener("click", () =>
        sort(column, head.getAttribute("aria-sort") === first ? other : first));
    });
    const again = () => { limit = page; show(); };
    find.addEventListener("input", again);
    for (const choice of choices) choice.addEventListener("change", again);
    more.addEventListener("click", () => { limit += 5 * page; show(); });
    root.querySelector(".tools").hidden = false;
    show();
  };

  document.querySelectorAll("[data-table]").forEach(enhance);
})();
