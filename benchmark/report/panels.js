"use strict";
// The case that is open in the slice viewer, and its panels: one position, zoom and brightness in all.
const panels = (() => {
  const root = document.getElementById("viewer");
  if (!root) return null;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const all = (selector, from = root) => Array.from(from.querySelectorAll(selector));
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const stage = part("stage");
  ink.init(root);
  const { names, order } = JSON.parse(part("setup").textContent);
  const AXES = ["z", "y", "x"];
  const TAIL = 12; // frames of a trail
  const TITLES = ["XY", "XZ", "YZ"];
  const KEPT = 3; // decoded cases
  const AROUND = 136; // px of the bar of sections, the slider and the margins between them

  const state = {
    plane: 0, channel: 0, algorithm: 0, chosen: new Set(names.keys()), beside: false, gain: 1, error: -1,
    zoom: 1, centre: [0.5, 0.5, 0.5], at: [0, 0, 0], show: { truth: true, output: true, errors: true, trails: true },
    shown: null, views: [], // the case that is open, and its panels
  };
  const cases = new Map();

  // Cases: the text of each is read when it is opened, its volumes when they are drawn.
  function open(place) {
    if (!order.includes(place)) return;
    if (!cases.has(place)) {
      const data = JSON.parse(document.getElementById(`data-${place}`).textContent);
      cases.set(place, { place, data, ready: new Map(), kept: new Map() });
      if (cases.size > KEPT) cases.delete([...cases.keys()].find((other) => other !== place));
    }
    const shown = cases.get(place);
    const { data } = shown;
    const grids = [...data.outputs, data.compared, ...data.inputs].filter((of) => of !== null);
    shown.grid = data.volumes[grids.find((of) => data.volumes[of].kind === data.kind) ?? grids[0]].shape;
    shown.extent = data.full.map((size, axis) => size * data.spacing[axis]);
    state.at = shown.grid.map((size, axis) => Math.floor(size * data.start[axis]));
    Object.assign(state, { shown, error: -1, zoom: 1, centre: [0.5, 0.5, 0.5] });
    all(".cases a").forEach((link) => link.setAttribute("aria-current", String(link.dataset.case === String(place))));
    part("name").textContent = data.case;
    part("count").textContent = `case ${order.indexOf(place) + 1} of ${order.length}`;
    part("grid").textContent = data.note;
    part("trouble").textContent = slices.honest() ? "" :
      "This browser hides the pixels of pictures from scripts: allow it for this page, or see the pictures in print.";
    root.dataset.open = place;
    const list = part("cases");
    const link = list.querySelector("[aria-current='true']");
    list.scrollTop = link.offsetTop - list.offsetTop - list.clientHeight / 2;
    layout();
  }

  // A volume, null until it is decoded; then all is drawn again.
  function volume(place) {
    if (place === null) return null;
    const of = state.shown;
    if (!of.ready.has(place)) {
      of.ready.set(place, null);
      slices.decode(of.data.volumes[place]).then((found) => {
        of.ready.set(place, found);
        if (of === state.shown) handlers.changed();
      }, () => { part("trouble").textContent = "This case cannot be decoded by this browser."; });
    }
    return of.ready.get(place);
  }
  function kept(key, find) {
    const store = state.shown.kept;
    if (!store.has(key)) store.set(key, find());
    if (store.size > 200) store.delete(store.keys().next().value);
    return store.get(key);
  }

  // Errors of an algorithm in the order of depth: a merged object counts once, as predicted.
  function errors(algorithm) {
    const { data } = state.shown;
    if (data.links[algorithm]) return wrong(algorithm);
    const letters = data.errors[algorithm];
    const [truth, output] = letters ? [volume(data.compared), volume(data.outputs[algorithm])] : [];
    if (!truth || !output) return [];
    return kept(`errors ${algorithm}`, () => {
      const joined = letters.output.includes("j") ? "" : "j";
      const of = (side, own, wanted) => {
        const at = slices.places(own);
        return Array.from(letters[side], (letter, n) => ({ letter, side, algorithm, id: own.ids[n], at: at[n + 1] }))
          .filter((error) => wanted.includes(error.letter) && error.at);
      };
      return [...of("truth", truth, "ms" + joined), ...of("output", output, "fj")].sort(byDepth);
    });
  }
  function wrong(algorithm) { // links, at the cell that each leads to
    const { data } = state.shown;
    const [truth, output] = [trails(data.compared), trails(data.outputs[algorithm])];
    if (!truth || !output) return [];
    return kept(`links ${algorithm}`, () => data.links[algorithm].flatMap(([letter, frame, side, number]) => {
      const [own, place] = side === "truth" ? [truth, data.compared] : [output, data.outputs[algorithm]];
      const at = own[number].find(([time]) => time === frame);
      return at ? [{ letter, side, algorithm, id: data.volumes[place].ids[number - 1], at: at.map(Math.round) }] : [];
    }));
  }
  function trails(place) {
    const labels = volume(place);
    return labels && kept(`trails ${place}`, () => slices.trails(labels));
  }
  // The ways of all cells of a frame through those before, of daughters with their mother's.
  function tails(place, frame) {
    const [every, parents] = [trails(place), state.shown.data.volumes[place].parents || []];
    const before = (number, depth) => {
      const own = every[number].filter(([time]) => time > frame - TAIL && time <= frame);
      const mother = depth && own[0] === every[number][0] ? parents[number - 1] : 0;
      return mother ? [...before(mother, depth - 1), ...own] : own;
    };
    return every.flatMap((points, number) => (points.some(([time]) => time === frame) ? [before(number, TAIL)] : []));
  }
  const byDepth = (a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1];
  const picked = () => (state.beside ? names.map((_, n) => n).filter((n) => state.chosen.has(n)) : [state.algorithm]);
  function listed() { // errors of all algorithms that are shown
    const parts = picked().map(errors);
    const key = `${picked()} ${parts.map((part_) => part_.length)}`; // 0 until they are decoded
    return parts[1] ? kept(`listed ${key}`, () => parts.flat().sort(byDepth)) : parts[0];
  }
  const tally = (found) => Object.entries(ink.WORDS)
    .map(([letter, word]) => [letter, found.filter((error) => error.letter === letter).length, word])
    .filter(([, count]) => count);

  // What the panels show: an image, perhaps minus another, and outlines by side.
  function contents() {
    const { data } = state.shown;
    const plain = (place, title) => data.volumes[place].kind === "labels"
      ? { title, image: null, lines: [["truth", place, null]] } : { title, image: place, lines: [] };
    if (data.kind === "labels") {
      const image = data.channels[state.channel % data.channels.length];
      const truth = (letters) => (data.truth ? [["truth", data.compared, letters]] : []);
      const found = picked().map((n) => ({
        title: names[n], algorithm: n, image,
        lines: [...truth(data.errors[n]?.truth), ["output", data.outputs[n], data.errors[n]?.output]],
      }));
      const alone = { title: data.truth ? "truth" : "input", image, lines: truth(null) };
      return state.beside || !found.length ? [alone, ...found] : found;
    }
    const fixed = [...data.inputs, data.compared].filter((of) => of !== null);
    const found = fixed.map((of) => plain(of, data.volumes[of].title));
    const base = data.truth ? data.compared : data.inputs[0];
    for (const n of picked()) {
      const output = data.outputs[n];
      found.push({ title: names[n], algorithm: n, image: output, lines: [] });
      if (output !== null && data.volumes[base].kind === "image" && state.show.errors)
        found.push({ title: `${names[n]} minus ${data.truth ? "truth" : "input"}`, image: output, minus: base, lines: [] });
    }
    return found;
  }

  // One scale for all panels, in rows as wide as the stage; all planes as in a drawing: YZ right of
  // XY, XZ below.
  function layout() {
    const { shown } = state;
    const flat = shown.grid[0] === 1 || shown.data.movie;
    const planes = flat ? [0] : state.plane === 3 ? [0, 2, 1] : [state.plane];
    const every = contents().flatMap((content) => planes.map((plane) => ({ content, plane })));
    const wide = stage.clientWidth - 12;
    const narrow = wide < 560 || every.length === 2 || every.length === 4;
    const columns = every.length === 1 ? 1 : planes.length > 1 || narrow ? 2 : 3;
    const width = (view) => shown.extent[slices.PLANES[view.plane][1]];
    const height = (view) => shown.extent[slices.PLANES[view.plane][0]];
    const rows = [];
    every.forEach((view) => {
      const last = rows[rows.length - 1];
      if (!last || last.length === columns || (planes[1] && view.plane < 2)) rows.push([view]);
      else last.push(view);
    });
    const scales = rows.map((row) => (wide - 8 * (row.length - 1)) / row.reduce((sum, view) => sum + width(view), 0));
    // The slider below is in view with all rows, each with a line of words, once the viewer is at the top.
    const above = stage.getBoundingClientRect().top - root.getBoundingClientRect().top;
    const room = (innerHeight - AROUND - above) / rows.length - 36;
    const high = rows.length > 1 ? clamp(room, 160, 360) : clamp(innerHeight * 0.52, 220, 600);
    const scale = Math.min(...scales, (high * rows.length) / rows.reduce((sum, row) => sum + Math.max(...row.map(height)), 0));
    const tallest = Math.max(shown.extent[0], shown.extent[1]) * scale;
    stage.style.minHeight = every.length === 1 && !flat ? `${Math.min(high, tallest) + 44}px` : "";
    state.views = every.map((view) => panel(view, width(view) * scale, height(view) * scale));
    const figures = state.views.map((view) => view.figure);
    const lines = rows.map((row) => make("div", { className: "line" }, ...figures.splice(0, row.length)));
    stage.replaceChildren(make("div", {}, ...lines));
    handlers.arranged();
    handlers.changed();
  }
  function panel({ content, plane }, width, height) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const canvas = make("canvas", { width: Math.max(1, Math.round(width * ratio)), height: Math.max(1, Math.round(height * ratio)) });
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.setAttribute("role", "img");
    const { data } = state.shown;
    const own = content.algorithm === undefined ? [] : data.scores[content.algorithm];
    const chips = own.map((score) => make("span", { className: "chip", textContent: score }));
    const lost = content.algorithm !== undefined && data.outputs[content.algorithm] === null;
    if (lost) chips.push(make("span", { className: "lost", textContent: "no valid output" }));
    const head = make("b", { className: "name", textContent: content.title });
    const caption = make("figcaption", {}, make("span", { className: "tag-of", textContent: TITLES[plane] }));
    if (plane === 0 || state.plane !== 3) caption.prepend(head, ...chips);
    caption.style.maxWidth = `${Math.max(120, width)}px`;
    const view = { content, plane, canvas, ratio, cross: make("i", { className: "cross" }) };
    view.figure = make("figure", { className: "view" }, caption, make("div", { className: "glass" }, canvas, view.cross));
    return view;
  }

  // The part of a plane that is seen: its start in both directions as shares of the whole.
  function corner({ plane }) {
    const [down, across] = slices.PLANES[plane];
    const start = (axis) => clamp(state.centre[axis] - 0.5 / state.zoom, 0, 1 - 1 / state.zoom);
    return { left: start(across), top: start(down) };
  }
  const depth = (axis, shape) => Math.floor(((state.at[axis] + 0.5) * shape[axis]) / state.shown.grid[axis]);

  const scratch = document.createElement("canvas");
  function paint(view) {
    const { canvas, plane, content, ratio } = view;
    const { grid } = state.shown;
    const pen = canvas.getContext("2d");
    const axis = slices.PLANES[plane][2];
    const { left, top } = corner(view);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    const image = volume(content.image);
    const base = content.minus === undefined ? null : volume(content.minus);
    if (image && (content.minus === undefined || base)) {
      const slice = slices.cut(image, plane, depth(axis, image.shape));
      [scratch.width, scratch.height] = [slice.width, slice.height];
      const picture = new ImageData(slice.width, slice.height);
      const other = base && slices.cut(base, plane, depth(axis, base.shape)).data;
      ink.tint(new Uint32Array(picture.data.buffer), slice.data, other, state.gain);
      scratch.getContext("2d").putImageData(picture, 0, 0);
      pen.imageSmoothingEnabled = (canvas.width * state.zoom) / slice.width < 6;
      pen.drawImage(scratch, left * slice.width, top * slice.height, slice.width / state.zoom, slice.height / state.zoom,
        0, 0, canvas.width, canvas.height);
    }
    for (const [side, place, letters] of content.lines) {
      const labels = volume(place);
      if (!labels) continue;
      const at = depth(axis, labels.shape);
      const [height, width] = slices.PLANES[plane].map((of) => labels.shape[of]);
      const paths = kept(`${place} ${plane} ${at}`, () => slices.outlines(slices.cut(labels, plane, at)));
      const [x, y] = [(state.zoom * canvas.width) / width, (state.zoom * canvas.height) / height];
      ink.stroke(pen, paths, side, letters, [x, 0, 0, y, -left * width * x, -top * height * y], ratio, state.show);
      if (!state.shown.data.movie || !state.show.trails || !state.show[side] || !trails(place)) continue;
      const drawn = ([, row, column]) => [(column + 0.5 - left * width) * x, (row + 0.5 - top * height) * y];
      ink.ways(pen, tails(place, at).map((line) => line.map(drawn)), side, ratio);
    }
    const [down, across] = slices.PLANES[plane];
    const spot = (at) => [[across, left, canvas.width], [down, top, canvas.height]]
      .map(([of, start, size]) => ((at[of] + 0.5) / grid[of] - start) * state.zoom * size);
    if (state.plane === 3) ink.ticks(pen, ...spot(state.at), ratio);
    if (state.shown.data.movie && state.show.errors && content.algorithm !== undefined)
      for (const { at, letter } of errors(content.algorithm))
        if (at[0] === state.at[0]) ink.ring(pen, ...spot(at), letter, ratio);
    const error = listed()[state.error];
    if (error && state.show.errors && error.at[axis] === state.at[axis]) ink.reticle(pen, ...spot(error.at), ratio);
    const found = tally(errors(content.algorithm ?? state.algorithm));
    const said = content.algorithm === undefined || !found.length ? "" : `: ${found.map(([, n, word]) => `${n} ${word}`).join(", ")} in the whole case`;
    canvas.setAttribute("aria-label", `${content.title}, ${TITLES[plane]} plane, ${where(axis)}${said}`);
  }

  // Words: places count from 1 in slices, and from 0 in brackets, as programs index them.
  const voxel = (shares) => shares.map((share, axis) => clamp(Math.floor(share * state.shown.data.full[axis]), 0, state.shown.data.full[axis] - 1));
  const axisName = (axis) => (axis === 0 && state.shown.data.movie ? "frame" : AXES[axis]);
  const where = (axis) => {
    const place = voxel(state.at.map((at, n) => (at + 0.5) / state.shown.grid[n]))[axis];
    return `${axisName(axis)} ${place + 1} of ${state.shown.data.full[axis]}`;
  };
  const position = (shares) => {
    const edges = shares.map((share, axis) => `${AXES[axis]} ${(share * state.shown.extent[axis]).toFixed(1)}`);
    if (state.shown.data.movie) edges[0] = `frame ${voxel(shares)[0] + 1}`;
    return `${edges.join(", ")} ${state.shown.data.unit}, voxel [${voxel(shares).join(", ")}]`;
  };
  function read(view, shares) {
    const look = (place) => {
      const own = place === null || place === undefined ? null : volume(place);
      const [z, y, x] = own ? shares.map((share, n) => clamp(Math.floor(share * own.shape[n]), 0, own.shape[n] - 1)) : [];
      return own ? [own, own.data[(z * own.shape[1] + y) * own.shape[2] + x]] : [null, 0];
    };
    const [image, grey] = look(view.content.image);
    const said = [position(shares)];
    if (image) {
      const value = (image.low + (grey / 255) * (image.high - image.low)).toPrecision(3);
      said.push(`grey ${grey === 255 ? "≥" : grey === 0 ? "≤" : "≈"} ${Number(value)}`);
    }
    for (const [side, place, letters] of view.content.lines) {
      const [labels, label] = look(place);
      if (!label) continue;
      const word = ink.WORDS[letters?.[label - 1]] ?? (letters ? "matched" : "");
      const best = overlap(view.content);
      const share = best ? `, IoU ≈ ${best[side === "truth" ? 0 : 1][label].toFixed(2)}` : "";
      said.push(`${side === "truth" ? "label" : "prediction"} ${labels.ids[label - 1]}${word && ` (${word})`}${share}`);
    }
    return said.join(" · ");
  }
  function overlap({ algorithm, lines }) {
    const [truth, output] = ["truth", "output"].map((side) => volume(lines.find((line) => line[0] === side)?.[1] ?? null));
    return truth && output ? kept(`overlap ${algorithm}`, () => slices.overlaps(truth, output)) : null;
  }

  // What the viewer does when the panels are new, and when they are to be drawn again.
  const handlers = { arranged: () => {}, changed: () => {} };
  return { all, axisName, clamp, corner, errors, handlers, layout, listed, make, names, open, order, paint, part, picked, position, read, root, state, tally, voxel, where };
})();
