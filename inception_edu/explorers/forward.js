// The forward pass of a small network, for a page, which has no torch. `program` lists
// its layers, each with the numbers of those that it reads ("from"; 0 is the picture);
// `weights` holds theirs one after the other, batch norms folded in. Returns a function
// from a picture's bytes (height x width x 3) to the outputs of all layers.
(program, weights) => {
  const square = ([channels, side]) => ({ channels, side, data: new Float64Array(channels * side * side) });
  const convolution = (x, { kernel, stride, padding, channels, side }, take) => {
    const out = square([channels, side]), w = take(channels * x.channels * kernel * kernel), bias = take(channels);
    for (let o = 0; o < channels; o += 1) {
      const plane = out.data.subarray(o * side * side, (o + 1) * side * side).fill(bias[o]);
      for (let c = 0; c < x.channels; c += 1) for (let ky = 0; ky < kernel; ky += 1) for (let kx = 0; kx < kernel; kx += 1) {
        const weight = w[((o * x.channels + c) * kernel + ky) * kernel + kx], from = c * x.side * x.side;
        for (let y = 0; y < side; y += 1) {
          const row = y * stride + ky - padding;
          if (row < 0 || row >= x.side) continue;
          for (let i = 0; i < side; i += 1) {
            const column = i * stride + kx - padding;
            if (column >= 0 && column < x.side) plane[y * side + i] += weight * x.data[from + row * x.side + column];
          }
        }
      }
      for (let i = 0; i < plane.length; i += 1) plane[i] = Math.max(plane[i], 0);
    }
    return out;
  };
  const largest = (x, { kernel, stride, padding, side }) => {
    const out = square([x.channels, side]);
    out.data.fill(-Infinity);
    for (let c = 0; c < x.channels; c += 1) for (let y = 0; y < side; y += 1) for (let i = 0; i < side; i += 1) {
      const place = (c * side + y) * side + i;
      for (let ky = 0; ky < kernel; ky += 1) for (let kx = 0; kx < kernel; kx += 1) {
        const [row, column] = [y * stride + ky - padding, i * stride + kx - padding];
        if (row < 0 || column < 0 || row >= x.side || column >= x.side) continue;
        out.data[place] = Math.max(out.data[place], x.data[(c * x.side + row) * x.side + column]);
      }
    }
    return out;
  };
  const joined = (parts) => {
    const out = square([parts.reduce((sum, { channels }) => sum + channels, 0), parts[0].side]);
    parts.reduce((start, { data }) => { out.data.set(data, start); return start + data.length; }, 0);
    return out;
  };
  const scores = (x, { channels }, take) => {
    const area = x.side * x.side, w = take(channels * x.channels), bias = take(channels), out = square([channels, 1]);
    for (let o = 0; o < channels; o += 1) {
      out.data[o] = bias[o];
      for (let c = 0; c < x.channels; c += 1) {
        let mean = 0;
        for (let i = 0; i < area; i += 1) mean += x.data[c * area + i] / area;
        out.data[o] += w[o * x.channels + c] * mean;
      }
    }
    return out;
  };
  const picture = (bytes, { side, mean, std }) => {
    const out = square([3, side]);
    for (let i = 0; i < bytes.length; i += 1) out.data[(i % 3) * side * side + Math.floor(i / 3)] = (bytes[i] / 255 - mean) / std;
    return out;
  };
  return (bytes) => {
    let used = 0;
    const take = (count) => weights.subarray(used, (used += count));
    const outputs = [];
    for (const layer of program) {
      const [x] = (layer.from ?? []).map((number) => outputs[number]);
      const run = { picture: () => picture(bytes, layer), conv: () => convolution(x, layer, take), max: () => largest(x, layer), cat: () => joined(layer.from.map((number) => outputs[number])), scores: () => scores(x, layer, take) };
      outputs.push(run[layer.kind]());
    }
    return outputs.map(({ data }) => data);
  };
}
