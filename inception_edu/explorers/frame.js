// The page's side of every explorer: native inputs, Python's picture, one line below
// it. Python computes and draws; this file binds, and shows what changed: what moved
// glides, and stands behind as an outline of where it was. See controls.py.
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
// JupyterLab takes the arrow keys from every element without this attribute.
const KEYS = { "data-lm-suppress-shortcuts": "true" };
const GLIDE = 200; // milliseconds
const GESTURE = 1500; // after such a pause a move starts from what is shown then
const STEP = 250; // milliseconds between the steps of a control that plays

// ---- what moved between two pictures ----

const LOOK = ["data-key", "fill", "stroke", "font-size", "text-anchor", "stroke-dasharray"];
const PLACE = ["x", "y", "width", "height", "cx", "cy", "r", "points", "d"];
const NUMBER = /-?(?:\d+\.?\d*|\.\d+)/g;
const numbers = (text) => text.match(NUMBER)?.map(Number) ?? [];
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Elements by their look and their place among those that look alike.
const byLook = (picture) => {
  const found = new Map();
  for (const node of picture.querySelectorAll("rect, circle, path, polygon, text")) {
    const look = [node.tagName, ...LOOK.map((name) => node.getAttribute(name))].join();
    if (!found.has(look)) found.set(look, []);
    found.get(look).push(node);
  }
  return found;
};
// Pairs of elements that stand for the same thing in two pictures by look.
const pairs = (before, after) => [...after].flatMap(([look, nodes]) => {
  const twins = before.get(look) ?? [];
  return twins.length === nodes.length ? nodes.map((node, i) => [twins[i], node]) : [];
});
const differ = ([old, now]) => !old.isEqualNode(now);
const isGround = (node) => node.hasAttribute("opacity") || /--ie-(grid|panel|line|paper|muted)/.test(["fill", "stroke"].map((name) => node.getAttribute(name)).find((paint) => paint && paint !== "none"));
const changes = (before, after) => PLACE.flatMap((name) => {
  const [from, to] = [before, after].map((node) => node.getAttribute(name) ?? "");
  return from === to ? [] : [{ node: after, name, from, to }];
});
// Attributes on their way from one picture to the next; they end on Python's own text,
// when it is told to at once.
const glide = (moves, duration) => {
  const ways = moves.filter(({ from, to }) => from.replace(NUMBER, "") === to.replace(NUMBER, ""))
    .map((move) => ({ ...move, ends: numbers(move.from) }));
  let frame, start;
  const step = (now) => {
    const share = Math.max(0, Math.min(1, (now - (start ??= now)) / duration)), eased = 1 - (1 - share) ** 3;
    for (const { node, name, ends, to } of ways) {
      let i = 0;
      const between = (end) => (ends[i] + (end - ends[i++]) * eased).toFixed(2);
      node.setAttribute(name, share < 1 ? to.replace(NUMBER, (end) => between(Number(end))) : to);
    }
    frame = share < 1 ? requestAnimationFrame(step) : undefined;
  };
  if (ways.length) step(performance.now());
  return () => {
    if (frame) ways.forEach(({ node, name, to }) => node.setAttribute(name, to));
    cancelAnimationFrame(frame);
  };
};
// Shapes that moved by three pixels or more, as outlines of where they were.
const ghost = (twins, picture) => {
  const outline = picture.cloneNode(false);
  for (const name of ["role", "aria-label"]) outline.removeAttribute(name);
  for (const [old, now] of twins) {
    if (old.tagName === "text") continue;
    const far = changes(old, now).some(({ from, to }) => {
      const ends = numbers(to);
      return numbers(from).some((start, i) => Math.abs(start - (ends[i] ?? start)) >= 3);
    });
    if (!far || isGround(old) || old.closest("[data-pick], [data-grid]")) continue;
    const twin = old.cloneNode(false);
    twin.removeAttribute("data-key");
    outline.append(twin);
  }
  return outline.childNodes.length ? outline : null;
};
const axes = (picture) => [...new Set([...picture.querySelectorAll('[data-key^="axis "]')].map((node) => node.dataset.key.slice(5)))];

// ---- one control ----

// A control that does nothing in this state says why.
const resting = (row, turnOff) => {
  const why = row.appendChild(make("small", { class: "ie-why" }));
  return (reason) => {
    if (why.textContent === reason) return;
    row.classList.toggle("ie-off", Boolean(reason));
    why.textContent = reason;
    turnOff(Boolean(reason), reason);
  };
};
const makeControl = (face) => {
  const { kind, label, labels, values, unit } = face;
  const [min, max, step] = values ? [0, values.length - 1, 1] : [face.minimum, face.maximum, face.step];
  const type = kind === "check" ? "checkbox" : "range";
  const input = kind === "choice" ? make("select", KEYS) : make("input", { ...KEYS, type, min, max, step });
  if (kind === "choice") input.append(...labels.map((text, i) => make("option", { value: i }, text)));
  const number = make("output", { "aria-hidden": "true" });
  const row = make("div", { class: `ie-control ie-${kind}` }, make("label", {}, make("span", {}, label), input), number);
  const player = face.play && make("button", { ...KEYS, type: "button", class: "ie-play" });
  if (player) row.prepend(player); // left of its slider, hence before it by Tab
  const tell = () => {
    if (input.type !== "range") return;
    number.textContent = `${values ? labels[input.value] : input.value} ${unit}`.trim();
    input.setAttribute("aria-valuetext", number.textContent);
  };
  const read = () => (kind === "check" ? input.checked : values ? values[input.value] : Number(input.value));
  const write = (value) => {
    if (kind === "check") input.checked = String(value) === "true";
    else input.value = values ? values.findIndex((known) => String(known) === String(value)) : value;
    tell();
  };
  const rest = resting(row, (off, reason) => {
    input.disabled = off;
    if (off) input.setAttribute("aria-description", reason); else input.removeAttribute("aria-description");
  });
  const isLast = () => Number(input.value) >= max;
  const stepUp = () => { input.value = isLast() ? min : Number(input.value) + step; };
  return { name: face.name, face, input, row, player, tell, read, write, rest, isLast, stepUp };
};

// A small drawing: every cell is a switch, the arrow keys go from one to the next, and
// pointer or finger leaves a line about one cell wide.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const makeGrid = ({ name, label, side, full }) => {
  const places = [...Array(side * side).keys()];
  const cell = (i) => make("button", { ...KEYS, type: "button", role: "switch", tabindex: i ? -1 : 0, "aria-label": `row ${Math.floor(i / side) + 1}, column ${(i % side) + 1}` });
  const cells = places.map(cell), clear = make("button", { ...KEYS, type: "button" }, "Clear");
  const input = make("div", { class: "ie-cells", role: "group", "aria-label": `${label}: arrow keys move, space fills`, style: `--side: ${side}` }, ...cells);
  const row = make("div", { class: "ie-control ie-grid" }, make("span", {}, label), clear, input);
  let ink = places.map(() => 0), last = null;
  const show = () => cells.forEach((node, i) => {
    node.style.setProperty("--ink", `${(100 * ink[i]) / full}%`);
    node.setAttribute("aria-checked", String(ink[i] > 0));
  });
  const change = (to) => {
    if (to.every((value, i) => value === ink[i])) return;
    ink = to;
    show();
    input.dispatchEvent(new Event("input"));
  };
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = input.getBoundingClientRect();
    return [((clientX - left) / width) * side - 0.5, ((clientY - top) / height) * side - 0.5];
  };
  // How much of the line from one point to another covers a cell, 0 to 1.
  const covers = ([x0, y0], [x1, y1], i) => {
    const [x, y] = [(i % side) - x0, Math.floor(i / side) - y0], [dx, dy] = [x1 - x0, y1 - y0];
    const along = Math.max(0, Math.min(1, (x * dx + y * dy) / (dx * dx + dy * dy || 1)));
    return Math.max(0, Math.min(1, 1.2 - Math.hypot(x - along * dx, y - along * dy)));
  };
  const line = (event) => {
    const to = at(event);
    change(ink.map((value, i) => Math.max(value, Math.round(full * covers(last ?? to, to, i)))));
    last = to;
  };
  input.addEventListener("pointerdown", (event) => { input.setPointerCapture(event.pointerId); line(event); });
  input.addEventListener("pointermove", (event) => { if (last) line(event); });
  ["pointerup", "pointercancel"].forEach((end) => input.addEventListener(end, () => { last = null; }));
  input.addEventListener("click", (event) => { // from a key: a pointer's has drawn already
    const place = cells.indexOf(event.target);
    if (!event.detail && place >= 0) change(ink.map((value, i) => (i === place ? (value ? 0 : full) : value)));
  });
  input.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key], place = cells.indexOf(event.target);
    if (step || event.key === " ") event.stopPropagation();
    if (!step) return;
    event.preventDefault();
    const [x, y] = [(place % side) + step[0], Math.floor(place / side) + step[1]];
    if (x < 0 || y < 0 || x >= side || y >= side) return;
    const next = cells[y * side + x];
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
  clear.addEventListener("click", () => change(places.map(() => 0)));
  const read = () => ink.join("");
  const write = (value) => { ink = [...value].map(Number); show(); };
  const rest = resting(row, (off) => { input.inert = clear.disabled = off; });
  return { name, face: { label }, input, row, tell: show, read, write, rest };
};

// ---- the explorer ----

export default { render({ model, el }) {
  const face = model.get("_face");
  const controls = face.controls.map((c) => (c.kind === "grid" ? makeGrid(c) : makeControl(c)));
  const buttons = [...face.buttons, ["", "Reset"]].map(([, text]) => make("button", { ...KEYS, type: "button" }, text));
  const picture = make("div", { class: "ie-picture-place" });
  const shadow = make("div", { class: "ie-ghost", "aria-hidden": "true" });
  const note = make("p", { class: "ie-note" });
  const summary = make("p", { class: "ie-summary", "aria-live": "polite" });
  const problem = make("p", { class: "ie-problem", role: "alert" });
  const root = make("div", { class: "ie-explorer", role: "group", "aria-label": face.question, "data-name": face.name },
    make("p", { class: "ie-question" }, face.question),
    make("div", { class: "ie-body" },
      make("div", { class: "ie-controls" }, ...controls.map(({ row }) => row), make("div", { class: "ie-buttons" }, ...buttons)),
      make("div", { class: "ie-result" }, make("div", { class: "ie-stage" }, picture, shadow, note), summary, problem)));
  let asked = 0, painted = -1; // serials of the newest question and of the answer shown
  let shown = [], drawn = "", here = false, timer; // that answer's values and SVG
  const moves = new Map(); // what Python has not answered: it may set other controls meanwhile
  let pressed = 0; // presses that Python has not answered
  let before = null, hand = "", moved = -Infinity; // the picture that this gesture began with
  let looks = new Map(), ranges = []; // of the picture: its elements by look, its axes
  let halt = () => {}, repainted = -Infinity; // the glide on its way; its end

  // Put the new picture in place, with what moved on its way and its ghost behind.
  const exchange = (svg) => {
    const [old, glides, hadAxes] = [looks, !still(), before?.ranges];
    picture.innerHTML = drawn = svg; // at once, hence no flicker
    const { width, height } = picture.firstElementChild?.viewBox.baseVal ?? {};
    picture.parentNode.style.setProperty("--ratio", width / height);
    [looks, ranges] = [byLook(picture), axes(picture)];
    const way = glides ? pairs(old, looks).filter(differ).flatMap((pair) => changes(...pair)) : []; // from what is seen now
    halt();
    const rescaled = before && hadAxes.join() !== ranges.join();
    const twins = before && !rescaled ? pairs(before.looks, looks) : [];
    const outline = ghost(twins.filter(differ), picture.firstElementChild);
    shadow.replaceChildren(...(outline ? [outline] : []));
    note.textContent = rescaled ? `Axis now: ${ranges.filter((axis) => !hadAxes.includes(axis)).join("; ")}` : outline ? "Grey outline: before this move" : "";
    const pause = performance.now() - repainted;
    repainted += pause;
    halt = glide(way, pause < 2 * GLIDE ? GLIDE / 2 : GLIDE);
  };
  const paint = ([serial, values, svg, line, refusal, inactive]) => {
    if (serial < painted) return; // a late answer never covers a newer one
    clearTimeout(timer);
    if (serial === painted) before = null; // drawn again without the reader
    [painted, shown] = [serial, values];
    if (svg !== drawn) exchange(svg);
    const unbroken = line.replace(/(\d) (?=%|[kMGT]B?\b)/g, "$1\u00a0"); // a number stays with its unit
    if (summary.textContent !== unbroken) summary.textContent = unbroken;
    if (problem.textContent !== refusal) problem.textContent = refusal;
    if (serial >= asked) controls.forEach((c, i) => { c.write(values[i]); c.rest(inactive[i]); });
    if (serial < asked || (pressed && here)) expect(); else root.setAttribute("aria-busy", "false");
  };
  // A stored picture fits if all agree, or the swept controls do and no other was moved.
  const stored = (values) => {
    const other = values.some((value, i) => !face.swept.includes(i) && value !== shown[i]);
    const agree = (known) => (i) => known[i] === values[i];
    return model.get("_frames").find(([known]) => [...values.keys()].every(agree(known)) || (!other && face.swept.every(agree(known))));
  };
  const silent = () => {
    root.setAttribute("aria-busy", "false");
    problem.textContent = model.get("_starting") ? model.get("_starting") // a page that will answer
      : here ? "Python is busy or has stopped: wait, or run this cell again."
      : face.swept.length ? `This page has pictures only for some steps of: ${face.swept.map((i) => face.controls[i].label).join(", ")}. Press Reset, or open the notebook for the rest.`
      : "Python has not answered: wait while a cell runs; else open the notebook and run this cell to use it.";
  };
  const expect = () => {
    clearTimeout(timer);
    root.setAttribute("aria-busy", "true");
    timer = setTimeout(silent, here ? 5000 : 300);
  };
  // ipywidgets sends one question at a time and keeps only the newest of the rest.
  const ask = (touched) => {
    const names = String(touched.map((c) => c.name)), values = controls.map((c) => c.read());
    const now = performance.now();
    if (!before || names !== hand || now - moved > GESTURE) before = { looks, ranges };
    [hand, moved] = [names, now];
    moves.delete(names); moves.set(names, touched.map((c) => [c.name, c.read()])); // the newest comes last
    asked = Math.max(asked, painted) + 1;
    controls.forEach((c) => c.tell());
    const frame = stored(values);
    if (frame) paint([asked, ...frame]); else expect();
    model.set("_asked", [asked, [...moves.values()]]);
    model.save_changes();
  };
  const send = (message) => { try { model.send(message); } catch { /* its kernel is gone, which `silent` tells */ } };
  const answered = () => {
    here = true;
    paint(model.get("_shown"));
    if (model.get("_shown")[0] >= asked) moves.clear();
  };
  model.on("change:_shown", answered);
  model.on("msg:custom", ({ press }) => {
    if (press) pressed = Math.max(0, pressed - 1); // or another view's
    answered();
  });

  // A slider that plays takes one step after the other; at its end the slider that it
  // names takes one, and it starts again.
  const slider = controls.find((c) => c.player), next = controls.find(({ name }) => name === slider?.face.play);
  let steps; // while it plays
  const play = (on) => {
    clearInterval(steps);
    steps = on ? setInterval(step, STEP) : undefined;
    if (slider) slider.player.textContent = on ? "❚❚" : "▶";
    slider?.player.setAttribute("aria-label", `${on ? "Pause" : "Play"} ${slider.face.label}`);
  };
  const step = () => {
    if (asked > painted) return; // the last step is not answered yet
    const touched = slider.isLast() ? [slider, next] : [slider];
    if (touched.at(-1).isLast()) return play(false);
    touched.forEach((c) => c.stepUp());
    ask(touched);
  };
  const stop = () => play(false);
  stop();
  slider?.player.addEventListener("click", () => play(!steps));

  controls.forEach((c) => c.input.addEventListener("input", () => { stop(); ask([c]); }));
  // A press is a message of its own: unlike a question, it must never be skipped.
  face.buttons.forEach(([press], i) => buttons[i].addEventListener("click", () => {
    expect();
    pressed += 1;
    send({ press, moves: [...moves.values()] });
  }));
  buttons.at(-1).addEventListener("click", () => {
    stop();
    controls.forEach((c, i) => c.write(face.start[i]));
    ask(controls);
  });
  // What a click on the picture sets: data-pick="row=3;column=5", or the cell of a grid
  // of as many rows as columns, data-grid="row;column;17".
  const picked = ({ target, clientX, clientY }) => {
    const grid = target.closest("[data-grid]");
    if (!grid) return target.closest("[data-pick]")?.dataset.pick.split(";").map((pick) => pick.split("=")) ?? [];
    const [row, column, count] = grid.dataset.grid.split(";"), box = grid.getBoundingClientRect();
    const cell = (place, size) => 1 + Math.min(count - 1, Math.floor((place / size) * count));
    return [[row, cell(clientY - box.top, box.height)], [column, cell(clientX - box.left, box.width)]];
  };
  picture.addEventListener("click", (event) => {
    const picks = new Map(picked(event));
    const touched = controls.filter((c) => picks.has(c.name));
    touched.forEach((c) => c.write(picks.get(c.name)));
    if (touched.length) { stop(); ask(touched); }
  });
  root.addEventListener("keydown", (event) => { // arrows stay here, Escape gives them back to the slides
    const turns = root.closest(".reveal") && ["PageUp", "PageDown"].includes(event.key); // a presenter's clicker
    if (turns) event.preventDefault();
    if (turns || event.key === "Escape") event.target.blur();
    if (!turns && (event.key === "Escape" || !event.target.closest("button"))) event.stopPropagation();
  });
  paint(model.get("_shown"));
  send({ hello: true });
  el.append(root);
  return () => {
    clearTimeout(timer);
    stop();
    halt();
    model.off(null, answered);
  };
} };
