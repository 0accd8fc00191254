// The forward pass of a small network, for a page, which has no torch. `program` lists
// its layers, each with the numbers of those that it reads ("from"; 0 is the picture)
// and where its weights begin ("start"); `weights` holds them all, biases after each
// layer's, batch norms folded in. Returns a function from a picture's bytes (height x
// width x 3) to the outputs of all layers, each a list of maps, one a channel.
(program, weights) => {
  const count = (length, make) => Array.from({ length }, (_, i) => make(i));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  // For each place in a k x k window, what every output reads there: a place on the
  // input map, or -1 for padding.
  const windows = (wide, { kernel, stride, padding, side }) => count(kernel * kernel, (place) => count(side * side, (to) => {
    const row = Math.floor(to / side) * stride - padding + Math.floor(place / kernel);
    const column = (to % side) * stride - padding + (place % kernel);
    return row < 0 || column < 0 || row >= wide || column >= wide ? -1 : row * wide + column;
  }));
  const reads = program.map(({ from, ...layer }) => (layer.kernel ? windows(program[from[0]].side, layer) : []));
  const run = {
    picture: (_, { side, mean, std }, number, bytes) => count(3, (c) => Float64Array.from({ length: side * side }, (_, i) => (bytes[3 * i + c] / 255 - mean) / std)),
    conv: (maps, { start, channels, side }, number) => count(channels, (o) => {
      const taps = reads[number], size = maps.length * taps.length;
      const out = new Float64Array(side * side).fill(weights[start + channels * size + o]);
      maps.forEach((map, c) => taps.forEach((read, tap) => {
        const weight = weights[start + o * size + c * taps.length + tap];
        for (let i = 0; i < out.length; i += 1) if (read[i] >= 0) out[i] += weight * map[read[i]];
      }));
      return out.map((value) => Math.max(value, 0));
    }),
    max: (maps, layer, number) => maps.map((map) => Float64Array.from(reads[number][0], (_, i) => (
      Math.max(...reads[number].map((read) => (read[i] >= 0 ? map[read[i]] : -Infinity)))))),
    cat: (maps) => maps,
    scores: (maps, { start, channels }) => count(channels, (o) => {
      const parts = maps.map((map, c) => (weights[start + o * maps.length + c] * sum(map)) / map.length);
      return Float64Array.of(weights[start + channels * maps.length + o] + sum(parts));
    }),
  };
  return (bytes) => program.reduce((outputs, layer, number) => {
    const maps = (layer.from ?? []).flatMap((source) => outputs[source]);
    return [...outputs, run[layer.kind](maps, layer, number, bytes)];
  }, []);
}
