"use strict";
// The slice viewer: buttons, keys and pointers that move through a case, and the list of its errors.
(() => {
  if (!panels) return;
  const { all, axisName, clamp, errors, layout, listed, make, names, open, order, part, picked, position, root, state, voxel, where } = panels;
  const [stage, slider, rail] = ["stage", "slider", "rail"].map(part);

  function turn(step) {
    const place = order[(order.indexOf(state.shown.place) + step + order.length) % order.length];
    history.replaceState(null, "", `#case-${place}`);
    open(place);
  }
  function follow() {
    const place = /^#case-(\d+)$/.exec(location.hash);
    if (!place || !order.includes(Number(place[1]))) return;
    open(Number(place[1]));
    root.scrollIntoView({ block: "start" });
    stage.focus({ preventScroll: true });
  }
  function jump(to) {
    const found = listed();
    if (!found.length) return;
    state.error = (to + found.length) % found.length;
    const { algorithm, at, letter, id, side } = found[state.error];
    state.at = [...at];
    state.centre = at.map((place, axis) => (place + 0.5) / state.shown.grid[axis]);
    state.zoom = Math.max(state.zoom, 2);
    part("readout").textContent = `Error ${state.error + 1} of ${found.length}: ${ink.WORDS[letter]}, ` +
      `${side === "truth" ? "truth" : "prediction"} ${id}, ${whose(algorithm)}${position(state.centre)}`;
    refresh();
  }

  const whose = (algorithm) => (picked()[1] === undefined ? "" : `${names[algorithm]}, `);

  // Controls follow the state.
  const along = () => (state.plane === 3 || state.shown.data.movie ? 0 : slices.PLANES[state.plane][2]);
  function controls() {
    const { data } = state.shown;
    const flat = state.shown.grid[0] === 1;
    const planar = flat || data.movie;
    all("[data-plane]").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.plane) === state.plane));
      button.parentElement.hidden = planar;
    });
    [part("slices").hidden, slider.max, slider.step] = [flat, state.shown.grid[along()] - 1, 1];
    all("[data-algorithm]").forEach((button) => {
      const place = Number(button.dataset.algorithm);
      button.setAttribute("aria-pressed", String(state.beside ? state.chosen.has(place) : place === state.algorithm));
    });
    all("[data-show]").forEach((button) => button.setAttribute("aria-pressed", String(state.show[button.dataset.show])));
    const channel = state.channel % data.channels.length;
    [part("channel").hidden, part("channel").textContent] = [!data.channels[1], data.volumes[data.channels[channel]].title];
    part("beside").setAttribute("aria-pressed", String(state.beside));
    all(".cases .scores").forEach((scores) => { scores.hidden = Number(scores.dataset.of) !== state.algorithm; });
    part("counts").textContent = picked().map((n) => [names[n], data.counts[n]].filter(Boolean).join(": ")).join("; ");
  }
  let waiting = 0;
  const refresh = () => { waiting ||= requestAnimationFrame(draw); };
  function draw() {
    waiting = 0;
    const axis = along();
    state.views.forEach(panels.paint);
    slider.value = state.at[axis];
    slider.setAttribute("aria-valuetext", where(axis));
    part("where").textContent = where(axis);
    stage.dataset.zoomed = String(state.zoom > 1);
    part("zoom").textContent = `${Math.round(state.zoom * 100)} %`;
    list();
    ink.profile(rail, listed().map(({ letter, at }) => [letter, at[axis]]), state.shown.grid[axis]);
  }
  Object.assign(panels.handlers, { arranged: controls, changed: refresh });
  let drawn = null;
  function list() {
    const found = listed();
    all("[data-error]").forEach((row) => row.setAttribute("aria-current", String(Number(row.dataset.error) === state.error)));
    if (drawn === found) return;
    drawn = found;
    const kind = ([letter, count, word]) =>
      make("span", { className: `kind kind-${letter}` }, ink.swatch(letter), make("b", { textContent: count }), ` ${word}`);
    part("tally").replaceChildren(...picked().map((n) =>
      make("p", { className: "tally" }, whose(n).slice(0, -2), ...panels.tally(errors(n)).map(kind))));
    part("errors").hidden = !picked().some((n) => state.shown.data.errors[n] || state.shown.data.links[n]);
    part("list").replaceChildren(...found.slice(0, 300).map(({ algorithm, letter, at, id }, n) => {
      const shares = at.map((place, axis) => (place + 0.5) / state.shown.grid[axis]);
      const spot = shares.map((share, axis) => (share * state.shown.extent[axis]).toFixed(0)).slice(1).reverse();
      const row = make("button", { type: "button", title: position(shares) }, ink.swatch(letter), `${ink.WORDS[letter]} ${id}`,
        make("small", { textContent: `${whose(algorithm)}${axisName(0)} ${voxel(shares)[0] + 1}, x ${spot[0]}, y ${spot[1]} ${state.shown.data.unit}` }));
      row.dataset.error = n;
      return make("li", {}, row);
    }));
    part("more").textContent = found.length > 300 ? `and ${found.length - 300} more: key x` : "";
  }
  // Actions.
  function go(to) {
    const axis = along();
    state.at[axis] = clamp(to, 0, state.shown.grid[axis] - 1);
    if (state.plane !== 3) state.centre[axis] = (state.at[axis] + 0.5) / state.shown.grid[axis];
    refresh();
  }
  function zoom(factor, shares = state.centre) {
    const before = state.zoom;
    state.zoom = clamp(state.zoom * factor, 1, 24);
    state.centre = state.centre.map((centre, axis) => shares[axis] + ((centre - shares[axis]) * before) / state.zoom);
    pan([0, 0, 0]);
  }
  function pan(shares) {
    const reach = 0.5 / state.zoom;
    state.centre = state.centre.map((centre, axis) => clamp(centre + shares[axis], reach, 1 - reach));
    refresh();
  }
  function reset() {
    Object.assign(state, { zoom: 1, centre: [0.5, 0.5, 0.5], error: -1 });
    refresh();
  }
  function set(change) {
    Object.assign(state, change);
    layout();
  }
  function pick(algorithm) {
    const place = (algorithm + names.length) % names.length;
    state.chosen.add(place);
    set({ algorithm: place, error: -1 });
  }
  function choose(algorithm) { // by a button, which in panels side by side adds and removes
    const others = [...state.chosen].filter((other) => other !== algorithm);
    if (!state.beside || !state.chosen.has(algorithm) || !others.length) return pick(algorithm);
    state.chosen.delete(algorithm);
    return set({ algorithm: others.includes(state.algorithm) ? state.algorithm : others[0], error: -1 });
  }
  function toggle(what) {
    state.show[what] = !state.show[what];
    layout();
  }
  function brighten(gain) {
    state.gain = clamp(gain, 0.5, 6);
    part("gain").value = state.gain;
    refresh();
  }
  const leap = () => Math.max(2, Math.round(state.shown.grid[along()] / 10));
  const step = (count) => go(state.at[along()] + count);
  const KEYS = {
    ArrowUp: () => step(1), ArrowRight: () => step(1), ArrowDown: () => step(-1), ArrowLeft: () => step(-1),
    PageUp: () => step(leap()), PageDown: () => step(-leap()), Home: () => go(0), End: () => go(Infinity),
    1: () => set({ plane: 0 }), 2: () => set({ plane: 1 }), 3: () => set({ plane: 2 }), 4: () => set({ plane: 3 }),
    c: () => set({ channel: (state.channel + 1) % state.shown.data.channels.length }),
    a: () => pick(state.algorithm + 1), A: () => pick(state.algorithm - 1),
    "]": () => pick(state.algorithm + 1), "[": () => pick(state.algorithm - 1),
    n: () => turn(1), ".": () => turn(1), N: () => turn(-1), ",": () => turn(-1),
    t: () => toggle("truth"), p: () => toggle("output"), e: () => toggle("errors"), l: () => toggle("trails"), s: () => set({ beside: !state.beside, error: -1 }),
    x: () => jump(state.error + 1), X: () => jump(state.error < 0 ? -1 : state.error - 1),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: reset,
    b: () => brighten(state.gain * 1.2), B: () => brighten(state.gain / 1.2),
  };
  const PANS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !state.shown) return;
    const native = event.target.matches("input") && /^(Arrow|Page|Home|End)/.test(event.key);
    if (native || !(event.key in KEYS)) return;
    const way = event.shiftKey && PANS[event.key];
    event.preventDefault();
    if (!way) return void KEYS[event.key]();
    const [down, across] = slices.PLANES[state.plane % 3];
    const move = [0, 0, 0];
    [move[down], move[across]] = way.map((part_) => (0.15 * part_) / state.zoom);
    pan(move);
  });

  // Pointers: hover reads, a click sets the place, a drag moves, two fingers or ctrl and wheel zoom.
  const seen = (event) => state.views.find((view) => view.canvas === event.target);
  function shares(view, event) {
    const box = view.canvas.getBoundingClientRect();
    const { left, top } = panels.corner(view);
    const [down, across, normal] = slices.PLANES[view.plane];
    const found = [0, 0, 0];
    found[across] = left + (event.clientX - box.left) / box.width / state.zoom;
    found[down] = top + (event.clientY - box.top) / box.height / state.zoom;
    found[normal] = (state.at[normal] + 0.5) / state.shown.grid[normal];
    return found.map((share) => clamp(share, 0, 1));
  }
  function hover(event) {
    const view = seen(event);
    if (!view) return;
    const at = shares(view, event);
    part("readout").textContent = panels.read(view, at);
    for (const other of state.views) {
      const [down, across] = slices.PLANES[other.plane];
      const { left, top } = panels.corner(other);
      other.cross.hidden = other === view || other.plane !== view.plane;
      other.cross.style.left = `${100 * (at[across] - left) * state.zoom}%`;
      other.cross.style.top = `${100 * (at[down] - top) * state.zoom}%`;
    }
  }
  const fingers = new Map();
  let dragged = 0;
  stage.addEventListener("pointerdown", (event) => {
    if (!seen(event)) return;
    stage.focus({ preventScroll: true });
    fingers.set(event.pointerId, event);
    dragged = 0;
    if (state.zoom > 1) event.target.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    const view = seen(event);
    if (!last || !view) return hover(event);
    const others = [...fingers.values()].filter((other) => other.pointerId !== event.pointerId);
    const [before, now] = [shares(view, last), shares(view, event)];
    fingers.set(event.pointerId, event);
    dragged += Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY);
    if (others.length) {
      const apart = (point) => Math.hypot(point.clientX - others[0].clientX, point.clientY - others[0].clientY);
      return zoom(apart(event) / Math.max(1, apart(last)), shares(view, others[0]));
    }
    return pan(before.map((share, axis) => share - now[axis]));
  });
  for (const ending of ["pointerup", "pointercancel"]) addEventListener(ending, (event) => fingers.delete(event.pointerId));
  stage.addEventListener("click", (event) => {
    const view = seen(event);
    if (!view || dragged > 4) return;
    const at = shares(view, event);
    slices.PLANES[view.plane].slice(0, 2).forEach((axis) => {
      state.at[axis] = clamp(Math.floor(at[axis] * state.shown.grid[axis]), 0, state.shown.grid[axis] - 1);
    });
    if (view.content.algorithm !== undefined) state.algorithm = view.content.algorithm;
    controls();
    refresh();
    part("readout").textContent = panels.read(view, at);
  });
  stage.addEventListener("dblclick", reset);
  stage.addEventListener("wheel", (event) => {
    const view = seen(event);
    const held = event.ctrlKey || event.metaKey;
    if (!view || !(held || root.contains(document.activeElement))) return; // the page scrolls on
    event.preventDefault();
    if (held) zoom(Math.exp(-event.deltaY / 300), shares(view, event));
    else step(event.deltaY > 0 ? -1 : 1);
  }, { passive: false });

  slider.addEventListener("input", () => go(Number(slider.value)));
  part("gain").addEventListener("input", (event) => brighten(Number(event.target.value)));
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button, a[data-case]");
    if (!button) return;
    const { plane, algorithm, show, act, error, case: place } = button.dataset;
    if (place !== undefined) { // the address changes by itself, and may be the same as before
      event.preventDefault();
      history.replaceState(null, "", `#case-${place}`);
      follow();
    } else if (plane !== undefined) set({ plane: Number(plane) });
    else if (algorithm !== undefined) choose(Number(algorithm));
    else if (show !== undefined) toggle(show);
    else if (error !== undefined) jump(Number(error));
    else if (act !== undefined) KEYS[act]();
  });
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => { // a dot in a figure leads to its case
    const dot = event.target.closest("svg [data-case]");
    if (!dot || !order.includes(Number(dot.dataset.case))) return;
    history.replaceState(null, "", `#case-${dot.dataset.case}`);
    follow();
  });
  let width = innerWidth;
  addEventListener("resize", () => { // a phone that hides its address bar changes the height alone
    if (state.shown && innerWidth !== width) layout();
    width = innerWidth;
  });

  all("[data-key]").forEach((place) => place.replaceChildren(ink.swatch(place.dataset.key)));
  if (!("DecompressionStream" in window)) {
    part("trouble").textContent = "This browser cannot unpack the volumes (it has no DecompressionStream): still pictures are below.";
    root.dataset.unable = "";
    return;
  }
  document.documentElement.dataset.viewer = "";
  const poster = document.querySelector(".still .ortho"); // until the viewer is in view, and for captures of the whole page
  if (poster) stage.append(poster.cloneNode(true));
  const opened = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    opened.disconnect();
    if (!state.shown) open(order[0]);
  }, { rootMargin: "400px" });
  opened.observe(root);
  follow();
  addEventListener("load", follow); // the browser has gone to the name in the list
})();
