// Dark or light: what the reader chose here, else what the system says. Paper is light.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("inception-theme"); } catch { /* files may not store */ }
  const show = (paper) => {
    const name = paper ? "light" : chosen ?? (dark.matches ? "dark" : "light");
    root.setAttribute("data-jp-theme-light", name === "light");
  };
  show();
  dark.addEventListener("change", () => show());
  addEventListener("beforeprint", () => show(true));
  addEventListener("afterprint", () => show());
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = root.getAttribute("data-jp-theme-light") === "true" ? "dark" : "light";
      try { localStorage.setItem("inception-theme", chosen); } catch { /* as above */ }
      show();
    });
  });
})();
