// The explorers of a page without a kernel: the same front end as in the notebook. Its
// model answers from stored frames at once and, from the first touch of a control on,
// from Python in a worker, where the page has one beside it (python.js).
const unpacked = async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};
const models = [];
let python; // a promise of the worker, from the first touch on
const startPython = () => {
  python ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${document.documentElement.dataset.assetPrefix}python.js`;
    script.onerror = () => reject(new Error("no python.js beside this page"));
    script.onload = () => {
      const worker = window.startPython();
      worker.onerror = reject;
      worker.onmessage = ({ data }) => {
        if (data.failed) return reject(new Error(data.failed));
        if (data.ready) return resolve(worker);
        models[data.place].answered(data.serial, JSON.parse(data.answer));
      };
    };
    document.head.append(script);
  });
  python.then(() => models.forEach((model) => model.ready()), () => models.forEach((model) => model.alone()));
};

// What frame.js binds to in place of a widget's model. Like ipywidgets it has one
// question on its way and keeps only the newest of the others.
const makeModel = (state, place) => {
  const listeners = {};
  const fire = (event, ...given) => listeners[event]?.forEach((listener) => listener(...given));
  let worker, waiting = null, busy = false;
  const next = () => {
    if (!worker || busy || !waiting) return;
    const [serial, moves] = waiting;
    [busy, waiting] = [true, null];
    const start = Object.fromEntries(state._face.controls.map(({ name }, i) => [name, state._face.start[i]]));
    worker.postMessage({ place, serial, name: state._face.name, start: JSON.stringify(start), moves: JSON.stringify(moves) });
  };
  return {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; if (name === "_asked" && state.live) waiting = value; },
    save_changes: () => { if (state.live) { startPython(); next(); } },
    send: () => {},
    on: (event, listener) => { (listeners[event] ??= []).push(listener); },
    off: () => {},
    ready: async () => { if (state.live) { worker = await python; next(); } },
    alone: () => { state.live = false; state._starting = ""; },
    answered: (serial, answer) => {
      busy = false;
      state._starting = "";
      state._shown = [serial, ...answer];
      fire("change:_shown");
      next();
    },
  };
};

// Between two stored pictures a slider goes on to the next, as it would by a coarser
// step; beyond them it stays where it was put, and the front end says what is missing.
const snap = (input, before, stops) => {
  const now = Number(input.value), least = Math.min(...stops), most = Math.max(...stops);
  if (stops.includes(now) || now < least || now > most) return;
  const ahead = stops.filter((stop) => (stop - before) * (now - before) > 0);
  const nearer = (one, other) => (Math.abs(other - now) < Math.abs(one - now) ? other : one);
  if (ahead.length) input.value = ahead.reduce(nearer);
};
const snapping = (place, state) => place.querySelectorAll("input, select").forEach((input, i) => {
  if (input.type !== "range" || !state._face.swept.includes(i)) return;
  const { values } = state._face.controls[i];
  const stops = state._frames.map(([known]) => (values ? values.indexOf(known[i]) : known[i]));
  let before;
  const begin = () => { before = Number(input.value); };
  for (const event of ["pointerdown", "keydown"]) input.addEventListener(event, begin);
  place.addEventListener("input", ({ target }) => { if (target === input && !state.live) snap(input, before ?? Number.NaN, stops); }, true);
});

for (const place of document.querySelectorAll(".explorer-place")) {
  const state = await unpacked(place.querySelector("script").textContent);
  state._starting = state.live ? "Python is starting in this page; a moment." : "";
  models.push(makeModel(state, models.length));
  place.replaceChildren();
  frame.render({ model: models.at(-1), el: place });
  snapping(place, state);
  if (state.live) for (const event of ["pointerover", "focusin"]) place.addEventListener(event, startPython, { once: true });
}
