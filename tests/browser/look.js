// What a test asks of an explorer's looks, as a list of faults for people to read.
() => {
  const numbers = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (one, two) => {
    const [low, high] = [light(one), light(two)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const over = (top, alpha, ground) => ground.map((v, i) => top[i] * alpha + v * (1 - alpha));
  const ground = (node) => {
    const way = [];
    for (let at = node; at; at = at.parentElement) way.unshift(at);
    return way.reduce((seen, at) => {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(at).backgroundColor);
      return over([r, g, b], alpha, seen);
    }, [255, 255, 255]);
  };
  const words = (node) => [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const ink = (node) => { // where its letters are
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect();
  };
  const meet = (a, b, slack = 1) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > slack
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack;
  const within = (a, b, slack = 1) => a.left >= b.left - slack && a.right <= b.right + slack
    && a.top >= b.top - slack && a.bottom <= b.bottom + slack;
  const visible = (node) => node.getClientRects().length > 0;
  const text = (root) => [...root.querySelectorAll("p, span, select, button, output")]
    .filter((node) => visible(node) && node.textContent.trim());
  const shapes = "rect, circle, polygon, path, image";

  // The color below a point of the SVG, painted before `node`.
  const below = (svg, node, x, y, among = shapes) => {
    let seen = ground(svg);
    for (const shape of svg.querySelectorAll(among)) {
      if (!(shape.compareDocumentPosition(node) & 4)) break;
      if (shape === node) break;
      const style = getComputedStyle(shape);
      if (shape.tagName === "image" || style.fill === "none") continue;
      const point = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
      const [r, g, b, alpha = 1] = numbers(style.fill);
      if (shape.isPointInFill(point)) seen = over([r, g, b], alpha * style.opacity * style.fillOpacity, seen);
    }
    return seen;
  };

  window.look = {
    // Cut off, overlapping, too small, wider than its place.
    layout: (root, longest) => {
      const faults = [], box = root.getBoundingClientRect();
      const outputs = [...root.querySelectorAll(".ie-control output")], before = outputs.map((o) => o.textContent);
      outputs.forEach((output, i) => { if (longest[i]) output.textContent = longest[i]; });
      for (let at = root; at && !at.matches(".jp-Cell"); at = at.parentElement) {
        const scrolls = /auto|scroll/.test(getComputedStyle(at).overflowX);
        if (at.scrollWidth > at.clientWidth + 1 && !scrolls) faults.push(`${at.className} is ${at.scrollWidth} wide in ${at.clientWidth}`);
      }
      const parts = [...root.querySelectorAll(".ie-question, .ie-control span, .ie-control input, .ie-control select, .ie-control output, .ie-buttons button, .ie-picture-place svg, .ie-summary")]
        .filter(visible).map((node) => [node.matches("input, select, button, svg") ? node.getBoundingClientRect() : ink(node), node]);
      const name = (node) => `"${(node.closest(".ie-control")?.querySelector("span") ?? node).textContent.slice(0, 40)}" ${node.tagName}`;
      parts.forEach(([one, node], i) => {
        if (!within(one, box)) faults.push(`${name(node)} leaves the explorer`);
        for (const [two, other] of parts.slice(i + 1)) if (meet(one, two)) faults.push(`${name(node)} covers ${name(other)}`);
      });
      for (const select of [...root.querySelectorAll("select")].filter(visible)) {
        const style = getComputedStyle(select), pen = document.createElement("canvas").getContext("2d");
        pen.font = style.font;
        const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 16; // its arrow
        for (const { text } of select.options) if (pen.measureText(text).width > room + 1) faults.push(`${name(select)} cuts "${text}": ${Math.round(pen.measureText(text).width)} in ${Math.round(room)}`);
      }
      for (const node of text(root)) if (parseFloat(getComputedStyle(node).fontSize) < 11) faults.push(`${name(node)} is too small`);
      for (const svg of root.querySelectorAll(".ie-picture-place svg")) {
        const sheet = svg.getBoundingClientRect(), letters = [...svg.querySelectorAll("text")];
        const boxes = letters.map((node) => node.getBoundingClientRect());
        letters.forEach((node, i) => {
          const { a, b } = node.getScreenCTM(), size = parseFloat(getComputedStyle(node).fontSize) * Math.hypot(a, b);
          if (size < 11) faults.push(`"${node.textContent}" is ${size.toFixed(1)} px`);
          if (!within(boxes[i], sheet, 2)) faults.push(`"${node.textContent}" is cut`);
          boxes.slice(i + 1).forEach((other, j) => { // the boxes hold room above and below the letters
            if (meet(boxes[i], other, 0.3 * size)) faults.push(`"${node.textContent}" covers "${letters[i + 1 + j].textContent}"`);
          });
        });
      }
      outputs.forEach((output, i) => { output.textContent = before[i]; });
      return faults;
    },
    // Text below 4.5:1, shapes below 3:1 against what they stand on.
    contrast: (root, faint) => {
      const faults = [];
      for (const node of text(root)) if (words(node) || node.tagName === "SELECT") {
        const ratio = contrast(numbers(getComputedStyle(node).color), ground(node));
        if (ratio < 4.5) faults.push(`"${node.textContent.slice(0, 40)}": ${ratio.toFixed(2)}`);
      }
      for (const svg of root.querySelectorAll(".ie-picture-place svg")) {
        for (const node of svg.querySelectorAll("text")) {
          const box = node.getBoundingClientRect(), style = getComputedStyle(node);
          for (const share of [0.1, 0.5, 0.9]) {
            const behind = below(svg, node, box.left + share * box.width, box.top + box.height / 2);
            const ratio = contrast(over(numbers(style.fill), Number(style.opacity), behind), behind);
            if (ratio < 4.5) { faults.push(`"${node.textContent}": ${ratio.toFixed(2)}`); break; }
          }
        }
        for (const node of svg.querySelectorAll(shapes)) {
          const style = getComputedStyle(node), paper = ground(svg);
          const given = [node.getAttribute("fill"), node.getAttribute("stroke")].filter((c) => c && c !== "none");
          const inks = [style.fill, style.stroke].filter((c) => c !== "none").map(numbers);
          if (node.tagName === "image" || !inks.length || style.opacity * style.fillOpacity < 1 || given.some((c) => faint.some((f) => c.includes(f)))) continue;
          let behind = paper;
          if (style.fill === "none" && node.tagName === "path") { // a curve: the ground of its middle
            const { x, y } = node.getPointAtLength(node.getTotalLength() / 2).matrixTransform(node.getScreenCTM());
            behind = below(svg, node, x, y, '[fill*="--ie-panel"]');
          }
          const ratio = Math.max(...inks.map((c) => contrast(c, behind)));
          if (ratio < 3) faults.push(`${node.outerHTML.slice(0, 120)}: ${ratio.toFixed(2)}`);
        }
      }
      return faults;
    },
    // What has the focus: its place, and what is wrong with its outline.
    focus: () => {
      const node = document.activeElement, root = node.closest(".ie-explorer");
      if (!root) return null;
      const style = getComputedStyle(node), box = node.getBoundingClientRect(), faults = [];
      const all = [...root.querySelectorAll(":is(input, select, button):enabled:not([tabindex='-1'])")];
      if (!node.matches(":focus-visible") || style.outlineStyle === "none" || !(parseFloat(style.outlineWidth) >= 2)) faults.push("no outline");
      const reach = parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset);
      const ring = new DOMRect(box.x - reach, box.y - reach, box.width + 2 * reach, box.height + 2 * reach);
      if (contrast(numbers(style.outlineColor), ground(root)) < 3) faults.push("a faint outline");
      for (let at = node.parentElement; at && !at.matches(".jp-Cell"); at = at.parentElement) {
        if (getComputedStyle(at).overflowX !== "visible" && (ring.left < at.getBoundingClientRect().left - 0.5 || ring.right > at.getBoundingClientRect().right + 0.5)) faults.push(`outline cut by ${at.className}`);
      }
      const up = root.getBoundingClientRect().top; // the page may scroll meanwhile
      return { name: root.dataset.name, at: all.indexOf(node), of: all.length, left: box.left, right: box.right, top: box.top - up, bottom: box.bottom - up, faults };
    },
  };
}
