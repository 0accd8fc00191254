// Before the show: make every slide fit 1280x720. Type shrinks one step, no more;
// what still does not fit goes on to a next slide, lists, tables and text by lines.
const HEIGHT = 720, THIRD = HEIGHT / 3 + 24, LEAST = 15, LETTERS = 800;
const twice = (node) => [...node.querySelectorAll(".katex-mathml")].reduce((sum, part) => sum + part.textContent.length, 0);
const letters = (section) => [...section.querySelectorAll("p, li, td, th, pre, summary")]
  .filter((node) => !node.closest("aside, svg, .explorer-place"))
  .reduce((sum, node) => sum + node.textContent.trim().length - twice(node), 0);
const fits = (section) => section.scrollHeight <= HEIGHT && letters(section) <= LETTERS;
const isHeading = (node) => /^H[1-4]$/.test(node.tagName);
const isTop = (node) => isHeading(node) || node.matches(".running");

// A slide as a flat list of what may be parted; a fragment's parts step together.
let fragments = 0;
const flatten = (section) => {
  const units = [];
  const take = (node, index) => {
    if (node.matches("aside")) return;
    if (node.matches("div.fragment")) { fragments += 1; [...node.children].forEach((child) => take(child, fragments)); return; }
    if (node.matches(".cell, .outputs")) { [...node.children].forEach((child) => take(child, index)); return; }
    if (index) { node.classList.add("fragment"); node.dataset.fragmentIndex = index; }
    units.push(node);
  };
  [...section.children].forEach((child) => take(child, 0));
  const notes = [...section.querySelectorAll("aside")];
  section.replaceChildren(...units, ...notes);
  return [units, notes];
};
// Lines of code or output that are longer than the slide: smaller, then wrapped.
const narrow = (section) => {
  for (const pre of section.querySelectorAll("pre")) {
    let size = parseFloat(getComputedStyle(pre).fontSize);
    while (pre.scrollWidth > pre.clientWidth && size > LEAST) pre.style.fontSize = `${(size -= 1)}px`;
    if (pre.scrollWidth > pre.clientWidth) pre.style.whiteSpace = "pre-wrap";
  }
};
// The pieces of a unit that are to stand on slides of their own, if there are any.
const pieces = (unit) => {
  const holder = unit.matches("ul, ol") ? unit : unit.querySelector("tbody");
  if (holder?.children.length > 1) return [holder, [...holder.children]];
  const pre = unit.matches("pre") ? unit : unit.querySelector("pre");
  if (pre && pre.textContent.trim().includes("\n")) {
    const lines = pre.innerHTML.replace(/^\n|\n$/g, "").split(/(?<=\n)/);
    return [pre, lines.map((line) => { const span = document.createElement("span"); span.innerHTML = line; return span; })];
  }
  if (unit.matches("blockquote") && unit.children.length > 1) return [unit, [...unit.children]];
  return null;
};
// Move what does not fit out of the unit; returns the rest as a new unit, or null.
const part = (unit, section) => {
  const found = pieces(unit);
  if (!found) return null;
  const [holder, parts] = found, rest = [];
  holder.replaceChildren(...parts);
  while (!fits(section) && parts.length > 1) { rest.unshift(parts.pop()); rest[0].remove(); }
  if (!rest.length) return null;
  if (rest.length === 1 && parts.length > 1 && holder.matches("ul, ol")) { rest.unshift(parts.pop()); rest[0].remove(); }
  const path = [];
  for (let node = holder; node !== unit; node = node.parentNode) path.unshift([...node.parentNode.children].indexOf(node));
  const twin = unit.cloneNode(true);
  const place = path.reduce((node, i) => node.children[i], twin);
  if (holder.tagName === "OL") place.start = (holder.start || 1) + parts.length;
  place.replaceChildren(...rest);
  return twin;
};
// A last slide is not left nearly empty: what stands before it comes along.
const fill = (last, before) => {
  while (before && last.scrollHeight < THIRD && !isTop(before.lastElementChild)) {
    let taken = before.lastElementChild;
    taken.remove();
    if (before.scrollHeight < THIRD || taken.matches(".input")) {
      before.append(taken);
      if (!taken.matches("ul, ol") || taken.children.length < 3) return;
      const item = taken.lastElementChild, list = taken.cloneNode();
      list.append(item);
      if (list.tagName === "OL") list.start = (taken.start || 1) + taken.children.length;
      taken = list;
    }
    (last.firstElementChild.matches(".again") ? last.children[1] : last.firstElementChild).before(taken);
    const lead = before.lastElementChild;
    if (!isTop(lead) && lead.textContent.trim().endsWith(":")) taken.before(lead);
  }
};
const split = (section) => {
  const [units, notes] = flatten(section);
  const title = units.find((unit) => isHeading(unit) || unit.matches(".running"));
  const made = [section];
  let here = section;
  section.replaceChildren();
  const open = () => {
    here = document.createElement("section");
    made.at(-1).after(here);
    made.push(here);
    if (!title) return;
    const again = title.cloneNode(true);
    again.removeAttribute("id");
    again.classList.add("again");
    here.append(again);
  };
  const queue = [...units];
  while (queue.length) {
    const unit = queue.shift();
    here.append(unit);
    narrow(unit.parentNode);
    if (fits(here)) continue;
    const before = [...here.children].slice(0, -1), room = before.every(isTop);
    if (!room && (unit.matches(".input") || unit.offsetTop - here.offsetTop > HEIGHT * 0.55 || letters(here) > LETTERS || !pieces(unit))) {
      const carried = []; // no heading stays behind alone, or apart from its text
      const own = before.findLast((node, i, all) => isHeading(node) && !all.slice(0, i).every(isTop));
      if (own && (own === unit.previousElementSibling || (!isHeading(unit) && own.offsetTop - here.offsetTop > THIRD))) {
        while (own.isConnected) { carried.unshift(unit.previousElementSibling); carried[0].remove(); }
      }
      unit.remove();
      open();
      if (carried.includes(title)) here.replaceChildren();
      queue.unshift(...carried, unit);
      continue;
    }
    if (room) here.classList.add("tight");
    const rest = fits(here) ? null : part(unit, here);
    if (rest) {
      here.classList.remove("tight");
      here.classList.toggle("tight", !fits(here));
      open();
      queue.unshift(rest);
    }
  }
  fill(made.at(-1), made.at(-2));
  made.forEach((slide, i) => {
    const again = slide.querySelector(".again, .running, h1, h2, h3");
    if (made.length > 1 && again) { const more = document.createElement("span"); more.className = "more"; more.textContent = `${i + 1} of ${made.length}`; again.append(more); }
    const shown = [...slide.children].filter((node) => !isTop(node));
    if (shown.every((node) => node.matches(".fragment"))) shown.forEach((node) => node.classList.remove("fragment")); // nothing to wait for
    slide.append(...notes.map((note) => note.cloneNode(true)));
  });
};
document.body.classList.add("measuring");
let running = "";
for (const section of document.querySelectorAll(".slides > section > section")) {
  // A slide that does not begin with a heading says where it belongs.
  const heading = section.querySelector("h1, h2, h3");
  if (running && section.querySelector("h1, h2, h3, p, ul, ol, pre, table, img, svg, .explorer-place, .ie-card") !== heading) {
    section.prepend(Object.assign(document.createElement("p"), { className: "running", textContent: running }));
  }
  running = [...section.querySelectorAll("h1, h2, h3")].at(-1)?.textContent ?? running;
  // What is asked about an explorer stands below its controls, if there is room.
  const [text, controls] = [".cell.text", ".ie-controls"].map((kind) => section.querySelector(kind));
  if (text && controls) {
    const place = controls.closest(".explorer-place"), high = place.offsetHeight;
    const room = () => place.offsetHeight <= high || fits(section);
    const asked = Object.assign(document.createElement("div"), { className: "asked" });
    asked.append(...[...text.children].filter((node) => !isTop(node)));
    controls.append(asked);
    if (!room()) section.classList.add("tight");
    if (!room()) { section.classList.remove("tight"); text.append(...asked.children); asked.remove(); }
  }
  narrow(section);
  if (!fits(section)) section.classList.add("tight");
  if (!fits(section)) { section.classList.remove("tight"); split(section); }
}
document.body.classList.remove("measuring");
// A finger draws, drags and pans here, and turns no slide.
document.querySelectorAll(".explorer-place, .ie-diagram").forEach((place) => place.setAttribute("data-prevent-swipe", ""));
Reveal.initialize({
  width: 1280, height: HEIGHT, margin: 0, minScale: 0.1, maxScale: 3, center: false, hash: true,
  navigationMode: "linear", scrollLayout: "compact", slideNumber: "c/t", controlsLayout: "edges", transition: "none", plugins: [RevealNotes, RevealZoom],
});
