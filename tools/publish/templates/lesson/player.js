// The explorers of a page without a kernel: the same front end as in the notebook,
// with a model that answers from the stored frames and never hears from Python.
const quiet = () => {};

// Between two stored pictures a slider goes on to the next, as it would by a coarser
// step; beyond them it stays where it was put, and the front end says what is missing.
const snap = (input, before, stops) => {
  const now = Number(input.value), least = Math.min(...stops), most = Math.max(...stops);
  if (stops.includes(now) || now < least || now > most) return;
  const ahead = stops.filter((stop) => (stop - before) * (now - before) > 0);
  const nearer = (one, other) => (Math.abs(other - now) < Math.abs(one - now) ? other : one);
  if (ahead.length) input.value = ahead.reduce(nearer);
};

for (const place of document.querySelectorAll(".explorer-place")) {
  const state = JSON.parse(place.querySelector("script").textContent);
  const model = { get: (name) => state[name], set: quiet, save_changes: quiet, send: quiet, on: quiet, off: quiet };
  place.replaceChildren();
  frame.render({ model, el: place });
  place.querySelectorAll("input, select").forEach((input, i) => {
    if (input.type !== "range" || !state._face.swept.includes(i)) return;
    const { values } = state._face.controls[i];
    const stops = state._frames.map(([known]) => (values ? values.indexOf(known[i]) : known[i]));
    let before;
    const begin = () => { before = Number(input.value); };
    for (const event of ["pointerdown", "keydown"]) input.addEventListener(event, begin);
    place.addEventListener("input", ({ target }) => { if (target === input) snap(input, before ?? Number.NaN, stops); }, true);
  });
}
