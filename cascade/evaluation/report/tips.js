"use strict";
// What a thing under the pointer or the keyboard's focus says: its data-tip, or else its label.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);

  const show = (target, x, y) => {
    tip.textContent = target.dataset.tip || target.getAttribute("aria-label") || "";
    tip.hidden = !tip.textContent;
    const { width, height } = tip.getBoundingClientRect();
    const edge = 8;
    const left = Math.min(x + 14, innerWidth - width - edge);
    const above = y - height - 14;
    tip.style.left = `${Math.max(edge, left)}px`;
    tip.style.top = `${above >= edge ? above : Math.min(y + 18, innerHeight - height - edge)}px`;
  };
  const hide = () => { tip.hidden = true; };

  addEventListener("pointermove", (event) => {
    const target = event.target instanceof Element && event.target.closest("[data-tip]");
    if (target) show(target, event.clientX, event.clientY);
    else hide();
  });
  addEventListener("focusin", (event) => {
    const target = event.target.closest("[data-tip]");
    if (!target || !target.matches(":focus-visible")) return hide();
    const box = target.getBoundingClientRect();
    show(target, box.left, box.top);
  });
  addEventListener("focusout", hide);
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
