"use strict";
// Looking into the icicle of the taxonomy: one node fills the height, the levels below it the width.
(() => {
  const icicle = document.getElementById("icicle");
  if (!icicle) return;
  const trail = document.getElementById("trail");
  const cells = [...icicle.children].map((element) => ({
    element,
    start: Number(element.dataset.start),
    rows: Number(element.dataset.rows),
    level: Number(element.dataset.level),
    above: Number(element.dataset.above),
  }));
  const all = { start: 0, rows: Number(icicle.dataset.rows), level: 0, above: -1 };
  const parent = (cell) => cells[cell.above] ?? all;
  const name = (cell) => cell === all ? "all rows" : cell.element.firstElementChild.textContent;
  const least = 0.5; // pixels that can be seen
  const line = 14; // pixels that a name needs
  let root = all;

  const draw = () => {
    const end = root.start + root.rows;
    const first = Math.max(root.level, 1);
    const inside = cells.filter((cell) =>
      cell === root || (cell.level > root.level && cell.start >= root.start && cell.start < end));
    const deepest = inside.reduce((level, cell) => Math.max(level, cell.level), first);
    const columns = Math.min(icicle.clientWidth < 640 ? 3 : 4, deepest - first + 1);
    const seen = new Set(inside.filter((cell) =>
      cell.level < first + columns && cell.rows / root.rows * icicle.clientHeight >= least));
    for (const cell of cells) {
      const { element } = cell;
      element.hidden = !seen.has(cell);
      if (element.hidden) continue;
      const high = cell.rows / root.rows;
      element.style.left = `${100 * (cell.level - first) / columns}%`;
      element.style.width = `${100 / columns}%`;
      element.style.top = `${100 * (cell.start - root.start) / root.rows}%`;
      element.style.height = `${100 * high}%`;
      element.classList.toggle("thin", high * icicle.clientHeight < line);
    }
    const way = [root];
    while (way[0] !== all) way.unshift(parent(way[0]));
    trail.replaceChildren(...way.flatMap((cell, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dir = "auto";
      button.textContent = name(cell);
      button.addEventListener("click", () => look(cell));
      return place ? [">", button] : [button];
    }));
    trail.hidden = root === all;
    reach(seen.has(root) ? root : seen.values().next().value);
  };

  // One node at a time is reached with Tab; arrow keys go on from there.
  const reach = (cell) => {
    for (const other of cells) other.element.tabIndex = other === cell ? 0 : -1;
  };
  const look = (cell) => {
    const before = root;
    root = cell;
    draw();
    const next = cell === all ? before : cell;
    if (next !== all && !next.element.hidden) next.element.focus({ preventScroll: true });
  };

  const step = (cell, key) => {
    const shown = cells.filter((other) => !other.element.hidden);
    if (key === "ArrowLeft") return parent(cell);
    if (key === "ArrowRight") return shown.find((other) => parent(other) === cell);
    const level = shown.filter((other) => other.level === cell.level);
    return level[level.indexOf(cell) + (key === "ArrowDown" ? 1 : -1)];
  };

  cells.forEach((cell) => {
    cell.element.addEventListener("click", () => look(cell === root ? parent(cell) : cell));
    cell.element.addEventListener("focus", () => reach(cell));
    cell.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && root !== all) look(parent(root));
      else if (event.key.startsWith("Arrow")) {
        const next = step(cell, event.key);
        if (next && next !== all && !next.element.hidden) next.element.focus();
      } else return;
      event.preventDefault();
    });
  });
  document.querySelectorAll(".scripted").forEach((element) => { element.hidden = false; });
  addEventListener("resize", draw);
  draw();
})();
