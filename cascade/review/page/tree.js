// The taxonomy as a tree that loads what is opened, and its search.

import * as api from "./api.js";
import { Combobox } from "./combobox.js";
import { byId, counted, fill, make } from "./dom.js";

const MEANING_AFTER = 250; // milliseconds without a key, then search by meaning, too

export class Tree {
  /** `file(code, name, shift)` files the item; `leave()` goes back to it. */
  constructor({ file, leave }) {
    this.file = file;
    this.leave = leave;
    this.root = byId("tree");
    this.children = new Map(); // by code, "" at the top: what the server said
    this.answer = null;
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("click", (event) => this.#click(event));
    this.root.addEventListener("dblclick", (event) => {
      const item = event.target.closest("[role=treeitem]");
      if (item?.dataset.code) this.file(item.dataset.code, nameOf(item));
    });
  }

  /** Show the top, opened down to a node, which is the answer. */
  async show(node) {
    this.answer = node?.codes.at(-1) ?? null;
    const codes = node?.codes ?? [];
    const wanted = (this.shown = Symbol());
    const levels = [];
    for (let at = 0; at <= codes.length; at += 1) {
      const parent = at === 0 ? "" : codes[at - 1];
      if (at === codes.length && at > 0) break;
      levels.push(await this.#load(parent, codes[at]));
    }
    if (this.shown !== wanted) return;
    let list = this.root;
    levels.forEach((level, at) => {
      fill(list, ...this.#items(level, at === 0 ? "" : codes[at - 1], at + 1));
      const item = this.#find(list, codes[at]);
      if (item && at < levels.length - 1) {
        list = make("ul", { role: "group" });
        item.append(list);
        item.setAttribute("aria-expanded", "true");
      }
    });
    const item = codes.length ? this.#findAll(codes.at(-1)) : this.root.firstElementChild;
    if (item) {
      if (codes.length) item.classList.add("answer");
      this.#select(item, { focus: false });
      centre(this.root, item.querySelector(".label"));
    }
  }

  /** The node that is selected, by its code. */
  get selected() {
    return this.root.querySelector("[aria-selected=true]")?.dataset.code ?? null;
  }

  get selectedName() {
    const item = this.root.querySelector("[aria-selected=true]");
    return item ? nameOf(item) : "";
  }

  /** Go into the tree with a key that walks. */
  walk(event) {
    const item = this.root.querySelector("[aria-selected=true]") ?? this.root.firstElementChild;
    if (!item) return;
    this.#select(item);
    this.#key(event);
  }

  /** Open the tree at a node and go there. */
  async reveal(code) {
    const node = await api.get(`node?code=${encodeURIComponent(code)}`);
    const answer = this.answer;
    await this.show(node);
    this.root.querySelector(".answer")?.classList.remove("answer");
    this.answer = answer;
    this.#findAll(answer)?.classList.add("answer");
    const item = this.#findAll(node.codes.at(-1));
    if (item) this.#select(item);
  }

  async #load(parent, holding, offset = 0) {
    const key = `${parent}\n${holding ?? ""}\n${offset}`;
    const known = this.children.get(parent);
    if (offset === 0 && known && (!holding || known.nodes.some((node) => node.code === holding))) return known;
    if (this.children.has(key)) return this.children.get(key);
    const query = new URLSearchParams({ offset });
    if (parent) query.set("code", parent);
    if (holding) query.set("holding", holding);
    const found = await api.get(`tree?${query}`);
    if (found.offset === 0) this.children.set(parent, found);
    this.children.set(key, found);
    return found;
  }

  #items(level, parent, depth) {
    const items = level.nodes.map((node) => {
      const below = node.leaf ? null : make("span", { class: "code" }, counted(node.below, "below", "below"));
      const item = make(
        "li",
        { role: "treeitem", tabindex: "-1", "aria-level": depth, "aria-selected": "false", "data-code": node.code },
        make("span", { class: "label" }, make("span", { class: "name" }, node.name), below),
      );
      if (!node.leaf) item.setAttribute("aria-expanded", "false");
      return item;
    });
    const more = (offset, text) =>
      make(
        "li",
        { role: "treeitem", tabindex: "-1", "aria-level": depth, "aria-selected": "false", "data-parent": parent, "data-offset": offset },
        make("span", { class: "label" }, make("span", { class: "code" }, text)),
      );
    if (level.offset > 0) items.unshift(more(Math.max(0, level.offset - level.nodes.length), "… those before"));
    if (level.next !== null) items.push(more(level.next, `… ${counted(level.total - level.next, "more", "more")}`));
    return items;
  }

  #find(list, code) {
    return [...list.children].find((item) => item.dataset.code === code) ?? null;
  }

  #findAll(code) {
    return code === null ? null : this.root.querySelector(`[data-code="${CSS.escape(code)}"]`);
  }

  #select(item, { focus = true } = {}) {
    for (const other of this.root.querySelectorAll("[aria-selected=true]")) {
      other.setAttribute("aria-selected", "false");
      other.tabIndex = -1;
    }
    item.setAttribute("aria-selected", "true");
    item.tabIndex = 0;
    if (focus) {
      item.focus({ preventScroll: true });
      item.querySelector(".label").scrollIntoView({ block: "nearest" });
    }
    if (item.dataset.code) describe(item.dataset.code);
  }

  async #open(item) {
    if (item.dataset.offset) return this.#more(item);
    if (item.getAttribute("aria-expanded") !== "false") return null;
    item.setAttribute("aria-expanded", "true");
    const level = await this.#load(item.dataset.code);
    if (item.querySelector("[role=group]")) return null;
    const depth = Number(item.getAttribute("aria-level")) + 1;
    item.append(make("ul", { role: "group" }, ...this.#items(level, item.dataset.code, depth)));
    return item;
  }

  async #more(item) {
    const level = await this.#load(item.dataset.parent, null, Number(item.dataset.offset));
    const items = this.#items(level, item.dataset.parent, Number(item.getAttribute("aria-level")));
    const last = item.nextElementSibling === null;
    const kept = items.filter((each) => !each.dataset.offset || (Number(each.dataset.offset) < level.offset) !== last);
    item.replaceWith(...kept);
    if (kept[0]) this.#select(kept[0]);
    return null;
  }

  #close(item) {
    item.querySelector("[role=group]")?.remove();
    item.setAttribute("aria-expanded", "false");
  }

  #click(event) {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    this.#select(item);
    if (item.getAttribute("aria-expanded") === "true" && event.target.closest(".label")) this.#close(item);
    else this.#open(item);
  }

  #visible() {
    return [...this.root.querySelectorAll("[role=treeitem]")];
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const item = event.target.closest?.("[role=treeitem]") ?? this.root.querySelector("[aria-selected=true]");
    const all = this.#visible();
    const at = all.indexOf(item);
    const open = item.getAttribute("aria-expanded");
    const go = (next) => next && this.#select(next);
    switch (event.key) {
      case "ArrowDown": go(all[at + 1]); break;
      case "ArrowUp": go(all[at - 1]); break;
      case "Home": go(all[0]); break;
      case "End": go(all.at(-1)); break;
      case "ArrowRight":
        if (open === "true") go(item.querySelector("[role=treeitem]"));
        else this.#open(item);
        break;
      case "ArrowLeft":
        if (open === "true") this.#close(item);
        else go(item.parentElement.closest("[role=treeitem]"));
        break;
      case "Enter":
        if (event.repeat) break;
        if (item.dataset.offset) this.#more(item);
        else this.file(item.dataset.code, nameOf(item), event.shiftKey);
        break;
      case "Escape": this.leave(); break;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Scroll a list so that one of its lines is in the middle; the page stays where it is. */
function centre(list, line) {
  const outer = list.getBoundingClientRect();
  const inner = line.getBoundingClientRect();
  list.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
}

const nameOf = (item) => item.querySelector(".name")?.textContent ?? "";

let describing = 0;

/** What a node is, below the tree. */
function describe(code) {
  clearTimeout(describing);
  describing = setTimeout(async () => {
    try {
      const node = await api.get(`node?code=${encodeURIComponent(code)}`);
      const code_ = node.code === node.path.join(" > ") ? null : make("span", { class: "code" }, node.code);
      fill(
        byId("described"),
        make("strong", {}, node.name, " ", code_),
        make("span", { class: "above" }, node.path.slice(0, -1).join(" › ")),
        node.description ? make("p", {}, node.description) : null,
        node.synonyms.length ? make("p", { class: "note" }, `Also: ${node.synonyms.join(", ")}`) : null,
      );
    } catch { /* the node shows itself by its name */ }
  }, 60);
}

export class Search {
  /** `file(code, name, shift)` files the item; `leave()` goes back to it. */
  constructor({ tree, file, leave }) {
    this.box = new Combobox({
      input: byId("search"),
      list: byId("found"),
      nothing: "Nothing is called so.",
      leave,
      find,
      line: (node) => [
        make("span", { class: "name" }, node.name),
        make("span", { class: "above" }, node.path.slice(0, -1).join(" › ")),
      ],
      pick: (node, shift) => file(node.code, node.name, shift),
      shown: (open) => {
        tree.root.hidden = open;
      },
      marked: (node) => describe(node.code),
      keys: {
        ArrowRight: (node) => {
          this.clear();
          tree.reveal(node.code);
        },
      },
    });
  }

  focus() {
    this.box.focus();
  }

  clear() {
    this.box.clear();
  }
}

/** Nodes by name at once, and after a moment by meaning, too. */
async function find(words, signal, show) {
  const query = new URLSearchParams({ words, limit: 20 });
  const named = (await api.get(`search?${query}`, signal)).nodes;
  show(named);
  await new Promise((done) => setTimeout(done, MEANING_AFTER));
  if (signal.aborted) return;
  try {
    const meant = (await api.get(`search?${query}&meaning=true`, signal)).nodes;
    const known = new Set(named.map((node) => node.code));
    show([...named, ...meant.filter((node) => !known.has(node.code))]);
  } catch { /* what was found by name is there */ }
}
