// The page's side of every explorer: native inputs, Python's picture, one line
// below it. Python computes and draws; this file binds. See controls.py.
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
// JupyterLab takes the arrow keys from every element without this attribute.
const KEYS = { "data-lm-suppress-shortcuts": "true" };
const makeControl = (face) => {
  const { kind, label, labels, values, unit } = face, [min, max, step] = values ? [0, values.length - 1, 1] : [face.min, face.max, face.step];
  const input = kind === "choice" ? make("select", KEYS) : make("input", { ...KEYS, type: kind === "check" ? "checkbox" : "range", min, max, step });
  if (kind === "choice") input.append(...labels.map((text, i) => make("option", { value: i }, text)));
  const number = make("output", { "aria-hidden": "true" });
  const row = make("div", { class: `ie-control ie-${kind}` }, make("label", {}, make("span", {}, label), input), number);
  const tell = () => {
    if (input.type === "range") input.setAttribute("aria-valuetext", number.textContent = `${values ? labels[input.value] : input.value} ${unit}`.trim());
  };
  const at = (place) => (values ? values[place] : Number(place));
  const read = () => (kind === "check" ? input.checked : at(input.value));
  const write = (value) => {
    if (kind === "check") input.checked = String(value) === "true";
    else input.value = values ? values.findIndex((known) => String(known) === String(value)) : value;
    tell();
  };
  return { name: face.name, input, row, tell, read, write };
};

export default { render({ model, el }) {
  const face = model.get("_face");
  const controls = face.controls.map(makeControl);
  const buttons = [...face.buttons, ["", "Reset"]].map(([, text]) => make("button", { ...KEYS, type: "button" }, text));
  const picture = make("div", { class: "ie-picture-place" });
  const summary = make("p", { class: "ie-summary", "aria-live": "polite" }), problem = make("p", { class: "ie-problem", role: "alert" });
  const root = make("div", { class: "ie-explorer", role: "group", "aria-label": face.question, "data-name": face.name },
    make("p", { class: "ie-question" }, face.question),
    make("div", { class: "ie-body" },
      make("div", { class: "ie-controls" }, ...controls.map(({ row }) => row), make("div", { class: "ie-buttons" }, ...buttons)),
      make("div", { class: "ie-result" }, picture, summary, problem)));
  if (face.compact) root.classList.add("ie-compact");
  let asked = 0, painted = -1; // serials of the newest question and of the answer shown
  let shown = [], drawn = "", here = false, timer; // that answer's values and SVG
  const moves = new Map(); // what Python has not answered: it may set other controls meanwhile
  let pressed = 0; // presses that Python has not answered

  const paint = ([serial, values, svg, line, refusal]) => {
    if (serial < painted) return; // a late answer never covers a newer one
    clearTimeout(timer);
    [painted, shown] = [serial, values];
    if (svg !== drawn) picture.innerHTML = drawn = svg; // at once, hence no flicker
    if (summary.textContent !== line) summary.textContent = line;
    if (problem.textContent !== refusal) problem.textContent = refusal;
    if (serial >= asked) controls.forEach((c, i) => c.write(values[i]));
    if (serial < asked || (pressed && here)) expect(); else root.setAttribute("aria-busy", "false");
  };
  // A stored picture fits if all agree, or the swept controls do and no other was moved.
  const stored = (values) => {
    const moved = values.some((value, i) => !face.swept.includes(i) && value !== shown[i]), agree = (known) => (is) => known[is] === values[is];
    return model.get("_frames").find(([known]) => [...values.keys()].every(agree(known)) || (!moved && face.swept.every(agree(known))));
  };
  const silent = () => {
    root.setAttribute("aria-busy", "false");
    problem.textContent = here ? "Python is busy or has stopped: wait, or run this cell again."
      : face.swept.length ? `This page has pictures only for some steps of: ${face.swept.map((i) => face.controls[i].label).join(", ")}. Press Reset, or open the notebook for the rest.`
      : "Python has not answered: wait while a cell runs; else open the notebook and run this cell to use it.";
  };
  const expect = () => { clearTimeout(timer); root.setAttribute("aria-busy", "true"); timer = setTimeout(silent, here ? 5000 : 300); };
  // ipywidgets sends one question at a time and keeps only the newest of the rest.
  const ask = (touched) => {
    const names = String(touched.map((c) => c.name)), values = controls.map((c) => c.read());
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
    here = true; paint(model.get("_shown"));
    if (model.get("_shown")[0] >= asked) moves.clear();
  };
  model.on("change:_shown", answered);
  model.on("msg:custom", ({ press }) => {
    if (press) pressed = Math.max(0, pressed - 1); // or another view's
    answered();
  });
  controls.forEach((c) => c.input.addEventListener("input", () => ask([c])));
  // A press is a message of its own: unlike a question, it must never be skipped.
  face.buttons.forEach(([press], i) => buttons[i].addEventListener("click", () => { expect(); pressed += 1; send({ press, moves: [...moves.values()] }); }));
  buttons.at(-1).addEventListener("click", () => { controls.forEach((c, i) => c.write(face.start[i])); ask(controls); });
  picture.addEventListener("click", ({ target }) => {
    const picks = new Map(target.closest("[data-pick]")?.dataset.pick.split(";").map((pick) => pick.split("="))); // "row=3;column=5"
    const touched = controls.filter((c) => picks.has(c.name));
    touched.forEach((c) => c.write(picks.get(c.name)));
    if (touched.length) ask(touched);
  });
  root.addEventListener("keydown", (event) => { // arrows stay here, Escape gives them back to the slides
    if (event.key === "Escape") event.target.blur();
    if (event.key === "Escape" || !buttons.includes(event.target)) event.stopPropagation();
  });
  paint(model.get("_shown"));
  send({ hello: true });
  el.append(root);
  return () => { clearTimeout(timer); model.off(null, answered); };
} };
