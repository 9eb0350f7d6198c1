// A field with the list of what was found for it, which is walked by keys.

import { fill, make } from "./dom.js";

export class Combobox {
  /**
   * `find(words, signal, show)` calls `show(items)`, perhaps twice; `line(item)` is what an item looks like;
   * `pick(item, shift)` takes it; `shown(open)` and `marked(item)` follow the list; `leave()` goes back to the row.
   */
  constructor({ input, list, find, line, pick, leave, nothing, shown = () => {}, marked = () => {}, keys = {} }) {
    Object.assign(this, { input, list, find, line, pick, leave, nothing, shown, marked, keys });
    this.items = [];
    input.addEventListener("input", () => this.#search());
    input.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("click", (event) => {
      const at = [...list.children].indexOf(event.target.closest("[role=option]"));
      if (this.items[at]) this.pick(this.items[at], event.shiftKey);
    });
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  clear() {
    this.asked?.abort();
    this.input.value = "";
    this.#show(null);
  }

  async #search() {
    const words = this.input.value.trim();
    this.asked?.abort();
    if (!words) return this.#show(null);
    this.asked = new AbortController();
    const { signal } = this.asked;
    let first = true;
    try {
      await this.find(words, signal, (items) => {
        if (signal.aborted) return;
        this.#show(items, { keep: !first });
        first = false;
      });
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
    return null;
  }

  #show(items, { keep = false } = {}) {
    const before = keep ? this.#at() : 0;
    const open = items !== null;
    this.items = items ?? [];
    this.list.hidden = !open;
    this.shown(open);
    this.input.setAttribute("aria-expanded", String(open));
    fill(
      this.list,
      ...this.items.map((item, at) =>
        make("li", { role: "option", id: `${this.list.id}-${at}`, "aria-selected": "false" }, ...this.line(item)),
      ),
    );
    if (open && !this.items.length) fill(this.list, make("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, this.nothing));
    this.#mark(Math.max(0, before));
  }

  #at() {
    return [...this.list.children].findIndex((line) => line.getAttribute("aria-selected") === "true");
  }

  #mark(at) {
    for (const line of this.list.children) line.setAttribute("aria-selected", "false");
    if (!this.items[at]) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    const line = this.list.children[at];
    line.setAttribute("aria-selected", "true");
    line.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", line.id);
    this.marked(this.items[at]);
  }

  #key(event) {
    if (event.isComposing) return; // a word that is written in parts, as in Japanese
    const at = this.#at();
    const item = this.items[at];
    const atEnd = this.input.selectionStart === this.input.value.length;
    if (event.key === "ArrowDown") this.#mark(Math.min(at + 1, this.items.length - 1));
    else if (event.key === "ArrowUp") this.#mark(Math.max(at - 1, 0));
    else if (event.key === "Enter" && !event.repeat && item) this.pick(item, event.shiftKey);
    else if (this.keys[event.key] && atEnd && item) this.keys[event.key](item);
    else if (event.key === "Escape") {
      this.clear();
      this.leave();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
