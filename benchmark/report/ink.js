"use strict";
// What the slice viewer draws: tinted pixels, outlines by class, marks, and errors along the slices.
const ink = (() => {
  const FULL = 0.5; // difference with the full colour, in units of the contrast
  const WORDS = {
    m: "missed", f: "false", s: "split", j: "merged", d: "missed division", g: "gap", w: "swap", b: "break",
    D: "false division", l: "false link", k: "other kind",
  };
  // Name of the colour in the palette, dashes and width of an outline [px], by side and class.
  const LINES = {
    truth: ["truth", [], 3.3], output: ["right", [], 1.4], m: [WORDS.m, [7, 4], 2.6],
    f: [WORDS.f, [2, 3], 2.6], s: [WORDS.s, [10, 3, 2, 3], 2.4], j: [WORDS.j, [14, 4], 2.4],
    d: [WORDS.j, [], 2.4], g: [WORDS.m, [], 2.4], w: [WORDS.s, [], 2.4], b: [WORDS.m, [3, 3], 2.4],
    D: [WORDS.f, [], 2.4], l: [WORDS.f, [3, 3], 2.4], k: [WORDS.j, [3, 3], 2.4],
  };

  const colours = {};
  function init(root) {
    const style = getComputedStyle(root);
    for (const [key, [name]] of Object.entries(LINES)) colours[key] = style.getPropertyValue(`--${name}`).trim();
  }
  const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  function tint(pixels, values, minus, gain) {
    const table = new Uint32Array(511);
    const packed = (red, green, blue) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
    for (let n = -255; n < 256; n++) {
      const grey = Math.min(255, Math.round(Math.abs(n) * gain));
      const share = Math.min(1, (Math.abs(n) / 255 / FULL) * gain);
      const ends = channels(colours[n < 0 ? "truth" : "output"]);
      table[n + 255] = minus ? packed(...ends.map((end) => Math.round(end * share))) : packed(grey, grey, grey);
    }
    for (let n = 0; n < values.length; n++) pixels[n] = table[255 + values[n] - (minus ? minus[n] : 0)];
  }
  function stroke(pen, paths, side, letters, transform, ratio, show) {
    const matrix = new DOMMatrix(transform);
    const groups = new Map();
    for (const [label, path] of paths) {
      const letter = letters?.[label - 1] ?? ".";
      const key = letter !== "." && show.errors ? letter : side;
      if (key === side && !show[side]) continue;
      if (!groups.has(key)) groups.set(key, new Path2D());
      groups.get(key).addPath(path, matrix);
    }
    const keys = [...groups.keys()].sort((a, b) => (b === side) - (a === side));
    for (const key of keys) {
      const [, dashes, width] = LINES[key];
      pen.strokeStyle = pen.fillStyle = colours[key];
      pen.lineWidth = width * ratio * (side === "output" && key in WORDS && key !== "f" ? 0.7 : 1);
      pen.setLineDash(dashes.map((length) => length * ratio));
      pen.globalAlpha = 0.14;
      if (key !== side) pen.fill(groups.get(key), "evenodd");
      pen.globalAlpha = 1;
      pen.stroke(groups.get(key));
    }
    pen.setLineDash([]);
  }

  // Where the other planes cross this one: ticks at its rim.
  function ticks(pen, x, y, ratio) {
    const { width, height } = pen.canvas;
    pen.fillStyle = "#fff";
    for (const end of [0, height - 9 * ratio]) pen.fillRect(x - ratio / 2, end, ratio, 9 * ratio);
    for (const end of [0, width - 9 * ratio]) pen.fillRect(end, y - ratio / 2, 9 * ratio, ratio);
  }

  // Ways of cells, lists of points, in the colour of a side.
  function ways(pen, lines, side, ratio) {
    pen.strokeStyle = colours[side];
    pen.lineWidth = 1.6 * ratio;
    pen.beginPath();
    for (const line of lines) line.forEach((point, n) => (n ? pen.lineTo(...point) : pen.moveTo(...point)));
    pen.stroke();
  }

  // A wrong link: a circle around the cell it leads to.
  function ring(pen, x, y, letter, ratio) {
    const [, dashes, width] = LINES[letter];
    pen.strokeStyle = colours[letter];
    pen.lineWidth = width * ratio;
    pen.setLineDash(dashes.map((length) => length * ratio));
    pen.beginPath();
    pen.arc(x, y, 12 * ratio, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
  }

  // The chosen error.
  function reticle(pen, x, y, ratio) {
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1.5 * ratio;
    pen.beginPath();
    for (const [right, below] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(x + right * 16 * ratio, y + below * 16 * ratio);
      pen.lineTo(x + right * 26 * ratio, y + below * 26 * ratio);
    }
    pen.stroke();
  }

  function swatch(kind) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 44, height: 16, className: "swatch" });
    const pen = canvas.getContext("2d");
    const [, dashes, width] = LINES[kind];
    pen.strokeStyle = colours[kind];
    pen.lineWidth = 2 * width;
    pen.setLineDash(dashes.map((length) => 1.6 * length));
    pen.beginPath();
    pen.moveTo(0, 8);
    pen.lineTo(44, 8);
    pen.stroke();
    canvas.setAttribute("aria-hidden", "true");
    return canvas;
  }

  // Errors along the slices, a stack per slice: `found` has their class and slice.
  function profile(canvas, found, count) {
    const pen = canvas.getContext("2d");
    [canvas.width, canvas.height] = [canvas.clientWidth * 2, canvas.clientHeight * 2];
    const [many, heights] = [new Array(count).fill(0), new Array(count).fill(0)];
    found.forEach(([, at]) => { many[at] += 1; });
    const unit = Math.min(18, canvas.height / Math.max(1, ...many));
    const step = (canvas.width - 32) / Math.max(1, count - 1); // the knob of the slider is 16 px wide
    for (const [letter, at] of found) {
      heights[at] += unit;
      pen.fillStyle = colours[letter];
      pen.fillRect(16 + at * step - 2, canvas.height - heights[at], 4, Math.max(1, unit - 1));
    }
  }

  return { WORDS, init, profile, reticle, ring, stroke, swatch, ticks, tint, ways };
})();
