// The facets of a code: shown, taken away, added, with the rules that the code breaks.

import * as api from "./api.js";
import { Combobox } from "./combobox.js";
import { byId, fill, make } from "./dom.js";

const named = (facet) => `${facet.category}: ${facet.name}`;

export class Facets {
  /** `changed()` is called whenever the code is another; `leave()` goes back to the row. */
  constructor({ changed, leave, trouble }) {
    this.changed = changed;
    this.trouble = trouble;
    this.faceted = false;
    this.answer = null; // the code that the row came with
    this.parts = null; // what the server said of the code as it is now
    this.finder = new Combobox({
      input: byId("facet"),
      list: byId("facets-found"),
      nothing: "No descriptor is called so.",
      leave,
      find: async (words, signal, show) => {
        const query = new URLSearchParams({ words, limit: 20 });
        show((await api.get(`descriptors?${query}`, signal)).facets);
      },
      line: (facet) => [
        make("span", { class: "name" }, facet.name),
        make("span", { class: "above" }, [facet.category, ...facet.above].join(" › ")),
      ],
      pick: (facet) => {
        this.finder.clear();
        this.#set(this.#base(), [...this.#facets(), facet.facet]);
        leave();
      },
    });
    byId("facets-reset").addEventListener("click", () => {
      this.show(this.answer);
      leave();
    });
  }

  /** Whether the code is another than the one that the row came with. */
  get edited() {
    return this.parts !== null && this.parts.code !== this.answer;
  }

  get code() {
    return this.parts?.code ?? null;
  }

  /** The code in words, for what is told of a decision. */
  get called() {
    return [this.parts.base.name, ...this.parts.facets.map((facet) => facet.name.toLowerCase())].join(", ");
  }

  /** Begin with the code of a row, null if it has none. */
  show(code) {
    this.answer = code;
    this.parts = null;
    this.asked?.abort();
    this.finder.clear();
    byId("facets").hidden = true;
    this.changed();
    if (this.faceted && code) this.#ask(code, { given: true });
  }

  /** Take another base term, and keep the facets that it does not imply. */
  take(code) {
    this.#set(code.split("#")[0], [...this.#facets(), ...(code.split("#")[1]?.split("$") ?? [])]);
  }

  #base() {
    return this.parts?.base.code ?? null;
  }

  #facets() {
    return (this.parts?.facets ?? []).map((facet) => facet.facet);
  }

  #set(base, facets) {
    if (base) this.#ask(facets.length ? `${base}#${[...new Set(facets)].join("$")}` : base);
  }

  async #ask(code, { given = false } = {}) {
    this.asked?.abort();
    this.asked = new AbortController();
    const { signal } = this.asked;
    try {
      const parts = await api.get(`facets?${new URLSearchParams({ code })}`, signal);
      if (signal.aborted) return;
      if (given) this.answer = parts.code;
      this.parts = parts;
      this.#draw();
      this.changed();
    } catch (error) {
      if (error.name !== "AbortError") this.trouble(error);
    }
  }

  #draw() {
    const { facets, implied, problems, base } = this.parts;
    byId("facets").hidden = false;
    byId("facets-reset").hidden = !this.edited;
    byId("facets-base").textContent = this.edited ? `${base.name} · ${this.parts.code}` : this.parts.code;
    fill(
      byId("facets-list"),
      ...facets.map((facet) =>
        make(
          "li",
          {},
          make(
            "button",
            { class: "chip", onclick: () => this.#set(base.code, this.#facets().filter((each) => each !== facet.facet)), "aria-label": `${named(facet)}. Take away` },
            make("span", { class: "kind" }, facet.category),
            ` ${facet.name} ✕`,
          ),
        ),
      ),
    );
    const says = implied.map(named).join("; ");
    byId("facets-implied").textContent = says ? `The base term itself says: ${says}` : "";
    fill(
      byId("facets-rules"),
      ...problems.map((problem) => make("li", { class: problem.severity === "LOW" ? "note" : "broken" }, problem.rule ? `${problem.rule}: ` : "", problem.text)),
    );
  }
}
