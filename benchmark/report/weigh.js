"use strict";
// Ranks by the reader's cases, metrics and weights, as cytosuite/ranking computes them by means.
const weigh = (() => {
  const root = document.getElementById("weigh");
  if (!root) return null;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const data = JSON.parse(part("scores").textContent);
  const { algorithms, alpha, conditions, metrics, strata } = data;
  const count = algorithms.length;
  const many = count > data.many;
  const DIGITS = 1e12; // of a value, relative to the largest: beyond is rounding
  const SMALLEST = 1e-3; // of values that others are relative to
  const EXACT = 50; // cases of an exact signed-rank test
  const DRAWN = 2000; // samples of a part of the cases
  const inputs = Array.from(root.querySelectorAll("[data-metric]"));
  let samples = null; // of all cases, as Python has drawn them

  const range = (length) => Array.from({ length }, (_, n) => n);
  const largest = (values) => values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), SMALLEST);
  const plain = (value, scale) => (Number.isFinite(value) ? (Math.round((value / scale) * DIGITS) / DIGITS) * scale : value);

  // The smallest key has rank 1; equal ones share the smallest rank.
  function ranked(keys) {
    const first = new Map();
    Array.from(keys).sort((a, b) => (a < b ? -1 : Number(a > b))).forEach((key, n) => { if (!first.has(key)) first.set(key, n + 1); });
    return keys.map((key) => first.get(key));
  }

  // How often each of the chosen cases is in each sample, drawn within each dataset.
  function drawn(cases) {
    if (cases.length === strata.length) return samples;
    const groups = new Map();
    cases.forEach((place, n) => groups.set(strata[place], [...(groups.get(strata[place]) || []), n]));
    const sizes = [...groups.values()].map((group) => group.length).filter((size) => size > 1);
    if (sizes.reduce((sum, size) => sum + size, 0) < data.fewest) return [];
    let state = 1;
    const random = () => { // mulberry32
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
    return range(DRAWN).map(() => {
      const counts = new Uint16Array(cases.length);
      for (const group of groups.values()) group.forEach(() => { counts[group[Math.floor(random() * group.length)]] += 1; });
      return counts;
    });
  }

  // A metric on the chosen cases, or its sets: values, lost ones, those with the worst value, who did not fail all.
  function chosen(metric, chosenCases) {
    const cases = metric.whole ? range(metric.used.length) : chosenCases;
    const pick = (rows) => rows.map((row) => cases.map((place) => row[place]));
    const goodness = pick(metric.goodness);
    const lost = pick(metric.lost);
    const present = pick(metric.valid).map((row) => Number(row.includes(1)));
    const used = range(cases.length).filter((n) => metric.used[cases[n]]);
    const worst = metric.worst === null ? -Infinity : metric.worst;
    const filled = goodness.map((row, a) => used.map((n) => (lost[a][n] ? worst : row[n])));
    return { ...metric, filled, goodness, lost, present, used, scale: largest(goodness.flat()) };
  }

  // Ranks by the mean; without a worst value the algorithm with fewer lost cases is before.
  function ranks(metric, counts) {
    const keys = metric.goodness.map((row) => {
      let [sum, size] = [0, 0];
      for (let n = 0; n < row.length; n++) if (counts[n] && !Number.isNaN(row[n])) {
        sum += counts[n] * row[n];
        size += counts[n];
      }
      return size ? -plain(sum / size, metric.scale) : Infinity;
    });
    const losses = metric.lost.map((row) => row.reduce((sum, value, n) => sum + value * counts[n], 0));
    if (metric.worst !== null || !metric.lost.some((row) => row.includes(1))) return ranked(keys);
    const order = ranked(losses);
    const within = ranked(keys);
    return ranked(order.map((place, a) => place * (count + 1) + within[a]));
  }

  // Wilcoxon's signed-rank test, p that differences are positive; `plain` ones are tested exactly.
  function above(differences) {
    const rest = differences.filter((value) => value !== 0);
    const size = rest.length;
    if (!size) return 1;
    const order = rest.map(Math.abs).sort((a, b) => a - b);
    const tied = order.some((value, n) => n && value === order[n - 1]);
    const middle = new Map(order.map((value) => [value, (order.indexOf(value) + order.lastIndexOf(value)) / 2 + 1]));
    const sum = rest.reduce((total, value) => total + (value > 0 ? middle.get(Math.abs(value)) : 0), 0);
    let p;
    if (!tied && size === differences.length && size <= EXACT) {
      const ways = new Float64Array((size * (size + 1)) / 2 + 1);
      ways[0] = 1;
      for (let rank = 1; rank <= size; rank++)
        for (let total = ways.length - 1; total >= rank; total--) ways[total] += ways[total - rank];
      p = ways.slice(sum).reduce((a, b) => a + b, 0) / 2 ** size;
    } else {
      const ties = [...new Set(order)].map((value) => order.lastIndexOf(value) - order.indexOf(value) + 1);
      const variance = (size * (size + 1) * (2 * size + 1) - ties.reduce((a, t) => a + (t ** 3 - t) / 2, 0)) / 24;
      p = tail((sum - (size * (size + 1)) / 4) / Math.sqrt(variance));
    }
    return Math.max(p, 0.5 ** size);
  }

  // The upper tail of the normal distribution: a series near 0, a continued fraction beyond.
  function tail(z) {
    if (z < 0) return 1 - tail(-z);
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    if (z < 3) {
      let [term, sum] = [z, z];
      for (let n = 1; n < 100; n++) sum += term *= (z * z) / (2 * n + 1);
      return 0.5 - density * sum;
    }
    let fraction = 0;
    for (let n = 100; n > 0; n--) fraction = n / (z + fraction);
    return density / (z + fraction);
  }

  // Whether the first of a pair is significantly better (1), or worse (-1), or alone has results.
  function judge(metric) {
    if (metric.whole) return () => 0;
    const scale = largest(metric.filled.flat());
    const test = (a, b) => {
      const differences = metric.filled[a].map((value, n) => {
        const apart = value - metric.filled[b][n];
        return Number.isNaN(apart) ? 0 : plain(apart, scale);
      });
      const [up, down] = [above(differences), above(differences.map((value) => -value))];
      return { pair: up < down ? [a, b] : [b, a], p: Math.min(1, 2 * Math.min(up, down)), even: up === down };
    };
    if (many) { // pairs that are asked for, p times the number of all
      const rivals = metric.present.reduce((sum, value) => sum + value, 0);
      return (a, b) => {
        if (!metric.present[a] || !metric.present[b]) return metric.present[a] - metric.present[b];
        const { pair, p, even } = test(a, b);
        return even || p * rivals * (rivals - 1) / 2 >= alpha ? 0 : pair[0] === a ? 1 : -1;
      };
    }
    const pairs = range(count).flatMap((a) => range(count - a - 1).map((n) => [a, a + n + 1]));
    const tests = pairs.filter(([a, b]) => metric.present[a] && metric.present[b]).map(([a, b]) => test(a, b));
    const won = new Set();
    let most = 0;
    tests.sort((one, other) => one.p - other.p).forEach(({ pair, p, even }, n) => {
      most = Math.max(most, p * (tests.length - n));
      if (most < alpha && !even) won.add(String(pair));
    });
    for (const [a, b] of pairs) if (metric.present[a] !== metric.present[b]) won.add(String(metric.present[a] ? [a, b] : [b, a]));
    return (a, b) => Number(won.has(String([a, b]))) - Number(won.has(String([b, a])));
  }

  function tested(metric) {
    const rivals = metric.present.reduce((sum, value) => sum + value, 0);
    const ordered = rivals * (rivals - 1);
    return !metric.whole && (!ordered || metric.used.length >= Math.floor(Math.log2(ordered / alpha)) + 1);
  }

  const inverse = (values, share) => values[Math.max(0, Math.ceil(values.length * share - 1e-9) - 1)];

  // Rank, place, interval, share of first places and tier of each algorithm, best first.
  function outcome(weights, cases) {
    const parts = metrics.map((metric, n) => ({ ...chosen(metric, cases), weight: weights[n] }))
      .filter((metric) => metric.weight > 0 && metric.used.length && (!metric.whole || cases.length === strata.length));
    const total = parts.reduce((sum, metric) => sum + metric.weight, 0);
    if (!total) return [];
    const mean = (rows) => range(count).map((a) => plain(parts.reduce((sum, metric, n) => sum + metric.weight * rows[n][a], 0) / total, 1));
    const rank = mean(parts.map((metric) => ranks(metric, metric.goodness[0].map(() => 1))));
    const enough = parts.every((metric) => !metric.whole && metric.used.length >= data.fewest);
    const some = (counts) => parts.every((metric) => metric.used.some((n) => counts[n]));
    const draws = enough ? drawn(cases).filter(some).map((counts) => ranked(mean(parts.map((metric) => ranks(metric, counts))))) : [];
    const places = range(count).map((a) => draws.map((draw) => draw[a]).sort((x, y) => x - y));
    const judges = parts.map(judge);
    const order = range(count).sort((a, b) => rank[a] - rank[b] || a - b);
    const place = ranked(rank);
    let [tier, current] = [1, []];
    return order.map((a) => {
      const beats = (b) => {
        const signs = judges.map((sign) => sign(b, a));
        return signs.includes(1) && !signs.includes(-1);
      };
      if (current.some(beats)) [tier, current] = [tier + 1, []];
      if (!many || !current.length) current.push(a);
      return {
        algorithm: algorithms[a], rank: rank[a], place: place[a], tier: parts.some(tested) ? tier : null,
        interval: draws.length ? [inverse(places[a], 0.025), inverse(places[a], 0.975)] : null,
        first: draws.length ? places[a].filter((n) => n === 1).length / draws.length : null,
      };
    });
  }

  // The page: inputs, table and address.
  const select = part("cases");
  const groups = [range(strata.length), ...conditions.flatMap(({ groups: of }) => of.map(({ cases }) => cases))];
  const words = ["", ...conditions.flatMap(({ title, groups: of }) => of.map(({ label }) => `${title}: ${label}`))];
  const weights = () => inputs.map((input) => Math.max(0, Number(input.value) || 0));
  function show() {
    const rows = outcome(weights(), groups[select.selectedIndex]);
    part("rows").replaceChildren(...rows.map(({ algorithm, rank, place, interval, first, tier }) => {
      const row = document.createElement("tr");
      const cells = [Number(rank.toFixed(2)), place, interval ? interval.join(" to ") : "-",
        first === null ? "-" : `${(100 * first).toFixed(0)} %`, tier ?? "-"];
      const head = Object.assign(document.createElement("th"), { scope: "row", textContent: algorithm });
      row.append(head, ...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }));
    const number = groups[select.selectedIndex].length;
    part("said").textContent = rows.length ? `${number} case${number === 1 ? "" : "s"}; first: ${rows[0].algorithm}.`
      : "No metric has a weight and values in these cases.";
  }
  function keep() {
    const said = new URLSearchParams();
    inputs.forEach((input, n) => { if (Number(input.value) !== metrics[n].weight) said.set(metrics[n].name, input.value); });
    if (select.selectedIndex) said.set("cases", words[select.selectedIndex]);
    history.replaceState(null, "", String(said) ? `#weigh?${said}` : "#weigh");
    show();
  }
  function follow() {
    if (!location.hash.startsWith("#weigh?")) return;
    const said = new URLSearchParams(location.hash.slice(7));
    inputs.forEach((input, n) => { input.value = said.get(metrics[n].name) ?? metrics[n].weight; });
    select.selectedIndex = Math.max(0, words.indexOf(said.get("cases") || ""));
    show();
    root.scrollIntoView();
  }
  // Rows of a value per case, or per set.
  async function rows(packed, Kind, length) {
    const values = new Kind((await slices.inflate(packed)).buffer);
    return range(values.length / length).map((n) => values.subarray(n * length, (n + 1) * length));
  }
  async function unpack() {
    samples = await rows(data.counts, Uint8Array, strata.length);
    for (const metric of metrics) {
      metric.goodness = await rows(metric.goodness, Float64Array, metric.used.length);
      for (const part of ["lost", "valid"]) metric[part] = await rows(metric[part], Uint8Array, metric.used.length);
    }
  }
  unpack().then(() => {
    part("board").hidden = false;
    root.addEventListener("input", keep);
    part("reset").addEventListener("click", () => {
      inputs.forEach((input, n) => { input.value = metrics[n].weight; });
      select.selectedIndex = 0;
      keep();
    });
    addEventListener("hashchange", follow);
    show();
    follow();
    root.dataset.ready = "";
  });
  return { outcome, tail };
})();
