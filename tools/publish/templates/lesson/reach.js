// What scrolls sideways can be reached, and scrolled, by keyboard.
addEventListener("DOMContentLoaded", () => {
  const sized = new ResizeObserver((boxes) => boxes.forEach(({ target: box }) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }));
  document.querySelectorAll("pre, table, .katex-display").forEach((box) => sized.observe(box));
});
