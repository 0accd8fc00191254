// Opens a diagram: a box by click, Enter or touch; Escape or the path leads back.
(() => {
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  // JupyterLab takes keys from every element without this attribute.
  const KEYS = { type: "button", "data-lm-suppress-shortcuts": "true" };
  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const HINT = "Click a box or press Enter on it to open it; arrow keys move between boxes, Escape leads back.";

  const start = (root, levels) => {
    const path = [{ level: 0, name: root.dataset.title }]; // where we are, from the top
    const crumbs = make("div", { class: "ie-path", role: "group", "aria-label": `Path in ${root.dataset.title}` });
    const view = make("div", { class: "ie-view", "data-lm-suppress-shortcuts": "true" });
    const note = make("p", { class: "ie-note" });
    let zoom = 1, boxes = [], sheet;

    const resize = (factor) => {
      const fits = Math.min(sheet.natural, Math.max(view.clientWidth, sheet.natural * 0.6));
      const whole = Math.min(view.clientWidth, view.clientHeight * sheet.ratio, fits) / fits;
      zoom = factor === "whole" ? whole : factor ? Math.min(6, Math.max(0.4, zoom * factor)) : 1;
      sheet.style.width = `${Math.round(fits * zoom)}px`;
      const scrolls = view.scrollWidth > view.clientWidth || view.scrollHeight > view.clientHeight;
      if (scrolls) view.tabIndex = 0; else view.removeAttribute("tabindex");
    };
    // The focus stays inside, so that the next key is the diagram's: on a box for a
    // reader at the keyboard, else on the path, where it does not show.
    const focus = (box) => (box ?? crumbs.querySelector("[aria-current]")).focus({ preventScroll: !box });
    const go = (depth, byKey) => {
      const { box } = path[depth + 1] ?? {};
      path.length = depth + 1;
      paint();
      focus(byKey ? boxes[box] : null);
    };
    const enter = (number, byKey) => {
      const [, , , , name, , level] = levels[path.at(-1).level].boxes[number];
      if (level === null) return;
      path.push({ level, name, box: number });
      paint(boxes[number]);
      focus(byKey ? boxes.find((b) => b.tabIndex === 0) : null);
    };
    const tell = (number) => {
      const { boxes: all, edges } = levels[path.at(-1).level], [, , , , , words, level] = all[number];
      const list = (side, other) => edges.filter((e) => e[side] === number).map((e) => `${e[3]} ${other ? "to" : "from"} ${all[e[other]][4]}`);
      const reads = list(1, 0), feeds = list(0, 1);
      note.textContent = [words, reads.length && `reads ${reads.join(", ")}`, feeds.length && `gives ${feeds.join(", ")}`, level !== null && "opens"].filter(Boolean).join("; ");
      sheet.querySelectorAll("path[data-ends]").forEach((p) => p.classList.toggle("ie-on", p.dataset.ends.split(" ").includes(String(number))));
    };
    const nearest = (from, [dx, dy]) => {
      const at = (b) => [b.offsetLeft + b.offsetWidth / 2, b.offsetTop + b.offsetHeight / 2], [x, y] = at(from);
      const ahead = boxes.map((b) => [b, at(b)]).map(([b, [a, c]]) => [b, (a - x) * dx + (c - y) * dy, Math.abs((a - x) * dy + (c - y) * dx)]);
      return ahead.filter(([, along]) => along > 4).sort((one, two) => one[1] + 3 * one[2] - two[1] - 3 * two[2])[0]?.[0];
    };
    const paint = (opened) => {
      const level = levels[path.at(-1).level];
      const parts = path.map(({ name }, depth) => {
        const last = depth === path.length - 1;
        const button = make("button", { ...KEYS, ...(last ? { "aria-current": "page" } : {}) }, name);
        button.addEventListener("click", (event) => last || go(depth, event.detail === 0));
        return depth ? ["›", button] : [button];
      }).flat();
      const zooms = [["−", 1 / 1.3, "Smaller"], ["+", 1.3, "Larger"], ["fit", "whole", "Fit"]].map(([text, factor, words]) => {
        const button = make("button", { ...KEYS, "aria-label": words }, text);
        button.addEventListener("click", () => resize(factor));
        return button;
      });
      crumbs.replaceChildren(...parts, make("span", { class: "ie-gap" }), ...zooms);
      const before = opened && [(opened.offsetLeft + opened.offsetWidth / 2) / sheet.offsetWidth, (opened.offsetTop + opened.offsetHeight / 2) / sheet.offsetHeight];
      sheet = make("div", { class: "ie-sheet ie-open" });
      if (before) sheet.style.transformOrigin = before.map((share) => `${100 * share}%`).join(" ");
      sheet.innerHTML = level.svg;
      const picture = sheet.firstElementChild, { width, height } = picture.viewBox.baseVal;
      [sheet.natural, sheet.ratio] = [Number(picture.getAttribute("width")), width / height];
      sheet.insertAdjacentHTML("beforeend", `<svg class="ie-edges" aria-hidden="true" viewBox="0 0 ${width} ${height}"></svg>`);
      const lines = sheet.lastElementChild;
      for (const [from, to, points, shape] of level.edges) {
        const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
        line.setAttribute("d", `M${points.join("L")}`);
        line.dataset.ends = `${from} ${to}`;
        line.addEventListener("pointerenter", () => {
          note.textContent = `${level.boxes[from][4]} → ${level.boxes[to][4]}: ${shape}`;
          lines.querySelectorAll("path").forEach((p) => p.classList.toggle("ie-on", p === line));
        });
        lines.append(line);
      }
      const first = level.boxes.findIndex((box) => box[6] !== null);
      boxes = level.boxes.map(([x, y, w, h, , words, opens], number) => {
        const button = make("button", { ...KEYS, "aria-label": words, tabindex: number === Math.max(first, 0) ? 0 : -1 });
        if (opens === null) button.setAttribute("aria-disabled", "true");
        Object.assign(button.style, { left: `${100 * x / width}%`, top: `${100 * y / height}%`, width: `${100 * w / width}%`, height: `${100 * h / height}%` });
        // A click by keyboard has no detail; then the focus goes along.
        button.addEventListener("click", (event) => enter(number, event.detail === 0));
        button.addEventListener("pointerenter", () => tell(number));
        button.addEventListener("focus", () => { boxes.forEach((b) => (b.tabIndex = b === button ? 0 : -1)); tell(number); });
        return button;
      });
      sheet.append(...boxes);
      view.replaceChildren(sheet);
      view.scrollTo(0, 0);
      note.textContent = path.length > 1 ? picture.getAttribute("aria-label") : HINT;
      resize(0);
    };
    root.addEventListener("keydown", (event) => {
      const { key } = event, box = boxes.includes(event.target) && event.target;
      if (key === "Escape" && path.length > 1) go(path.length - 2, true);
      else if (key === "Escape") event.target.blur(); // gives the keys back to the slides
      else if (box && WAYS[key]) nearest(box, WAYS[key])?.focus();
      else if (key === "+" || key === "-" || key === "0") resize({ "+": 1.3, "-": 1 / 1.3, 0: 0 }[key]);
      else if (!(key === "Enter" || key === " ") || !root.contains(event.target)) return;
      else return event.stopPropagation(); // the button takes it
      event.preventDefault();
      event.stopPropagation();
    });
    view.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      resize(event.deltaY < 0 ? 1.15 : 1 / 1.15);
    }, { passive: false });
    view.addEventListener("pointerdown", (event) => { // drag the ground to move it
      if (event.pointerType !== "mouse" || event.target.closest("button")) return;
      const [x, y] = [view.scrollLeft + event.clientX, view.scrollTop + event.clientY];
      const move = (next) => view.scrollTo(x - next.clientX, y - next.clientY);
      addEventListener("pointermove", move);
      addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
    });
    root.classList.add("ie-live");
    root.replaceChildren(crumbs, view, note);
    paint();
    new ResizeObserver(() => zoom === 1 && resize(0)).observe(view);
  };

  if (!document.getElementById("ie-diagram-css")) document.head.append(make("style", { id: "ie-diagram-css" }, `/*css*/`));
  for (const root of document.querySelectorAll(".ie-diagram[data-levels]")) {
    const coded = root.dataset.levels.split(",")[1];
    root.removeAttribute("data-levels");
    if (!window.DecompressionStream) continue; // an old browser: the still picture stays
    const bytes = Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));
    new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json()
      .then((levels) => start(root, levels));
  }
})();
