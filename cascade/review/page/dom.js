// Elements of a page whose texts are data: nothing here reads HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; texts become text nodes. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") made.addEventListener("click", value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

/** A bar for a share from 0 to 1; invisible where it is not known. */
export function bar(share) {
  const inner = make("i");
  inner.style.setProperty("--share", `${Math.round(1000 * (share ?? 0)) / 10}%`);
  return make("span", { class: share === null || share === undefined ? "bar none" : "bar", "aria-hidden": "true" }, inner);
}

export function percent(share) {
  if (share === null || share === undefined) return "";
  if (share > 0 && share < 0.01) return "< 1%";
  return `${Math.round(100 * share)}%`;
}

export const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
