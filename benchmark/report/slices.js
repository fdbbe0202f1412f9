"use strict";
// Volumes of the slice viewer: decoded, cut into planes, and the outlines and places of objects.
const slices = (() => {
  const BLOCK = 8; // px, as in scenes.py
  const INSET = 0.15; // voxels by which an outline stays inside, so that neighbours are told apart
  // Rows and columns of the planes XY, XZ and YZ, and the axis they are slices of (0 z, 1 y, 2 x).
  const PLANES = [[1, 2, 0], [0, 2, 1], [1, 0, 2]];
  const round = (value) => Math.ceil(value / BLOCK) * BLOCK;

  async function inflate(text) {
    const stream = new DecompressionStream("deflate");
    const writer = stream.writable.getWriter();
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const written = writer.write(packed).then(() => writer.close());
    const found = new Uint8Array(await new Response(stream.readable).arrayBuffer());
    await written;
    return found;
  }

  async function labels({ data, runs, shape }) {
    const parts = await inflate(data);
    const found = new (parts.length > 4 * runs ? Uint32Array : Uint16Array)(shape[0] * shape[1] * shape[2]);
    for (let n = 0, at = 0; n < runs; n++) {
      let label = 0;
      for (let k = 2 * runs + n, shift = 0; k < parts.length; k += runs, shift += 8) label |= parts[k] << shift;
      const end = at + parts[n] + 256 * parts[runs + n];
      found.fill(label, at, end);
      at = end;
    }
    return found;
  }

  async function pixels({ source, shape: [depth, height, width], columns }) {
    const sheet = new Image();
    sheet.src = source;
    await sheet.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [columns * round(width), round(height)];
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const found = new Uint8Array(depth * height * width);
    for (let z = 0; z < depth; z++) { // a row of slices at a time
      const [row, column] = [Math.floor(z / columns), z % columns];
      if (column === 0) pen.drawImage(sheet, 0, -row * canvas.height);
      const grey = pen.getImageData(column * round(width), 0, width, height).data;
      for (let n = 0; n < height * width; n++) found[z * height * width + n] = grey[4 * n];
    }
    return found;
  }

  const decode = async (entry) => ({
    ...entry, data: await (entry.kind === "labels" ? labels : pixels)(entry),
  });

  // One slice of a volume as rows; `at` is its place in the volume's own grid.
  function cut({ data, shape }, plane, at) {
    const strides = [shape[1] * shape[2], shape[2], 1];
    const [down, across, along] = PLANES[plane];
    const [height, width] = [shape[down], shape[across]];
    const found = new data.constructor(height * width);
    for (let row = 0, n = 0; row < height; row++) {
      let from = at * strides[along] + row * strides[down];
      for (let column = 0; column < width; column++, n++, from += strides[across]) found[n] = data[from];
    }
    return { data: found, height, width };
  }

  // Marching squares with the inside on the right: sides (0 top, 1 right, 2 bottom, 3 left) from
  // which and to which a line runs, by the corners inside (8 top left, 4 top right, 2 and 1 below).
  const LINES = [[], [3, 2], [2, 1], [3, 1], [1, 0], [1, 0, 3, 2], [2, 0], [3, 0], [0, 3], [0, 2],
    [0, 3, 2, 1], [0, 1], [1, 3], [1, 2], [2, 3], []];

  // Outlines of the labels of a slice: a path of each, in voxels; the first voxel is 0 to 1.
  function outlines({ data, height, width }) {
    const value = (row, column) =>
      row < 0 || column < 0 || row >= height || column >= width ? 0 : data[row * width + column];
    const wide = width + 2;
    const links = new Map();
    for (let row = -1; row < height; row++)
      for (let column = -1; column < width; column++) {
        const corners = [value(row, column), value(row, column + 1), value(row + 1, column + 1), value(row + 1, column)];
        const [a, b, c, d] = corners;
        if (a === b && b === c && c === d) continue;
        const node = (row + 1) * wide + column + 1;
        const sides = [2 * node, 2 * (node + 1) + 1, 2 * (node + wide), 2 * node + 1];
        for (let n = 0; n < 4; n++) {
          const label = corners[n];
          if (!label || corners.indexOf(label) < n) continue;
          if (!links.has(label)) links.set(label, new Map());
          const lines = LINES[8 * (a === label) + 4 * (b === label) + 2 * (c === label) + (d === label)];
          for (let k = 0; k < lines.length; k += 2) links.get(label).set(sides[lines[k]], sides[lines[k + 1]]);
        }
      }
    const paths = new Map();
    for (const [label, next] of links) paths.set(label, smooth(next, label, value, wide));
    return paths;
  }

  // A closed curve through the middles of the lines of each loop.
  function smooth(next, label, value, wide) {
    const point = (side) => {
      const node = side >> 1;
      const [row, column] = [Math.floor(node / wide) - 1, (node % wide) - 1];
      const share = value(row, column) === label ? 0.5 - INSET : 0.5 + INSET;
      return side & 1 ? [column + 0.5, row + 0.5 + share] : [column + 0.5 + share, row + 0.5];
    };
    const path = new Path2D();
    while (next.size) {
      const [start] = next.keys();
      const loop = [];
      for (let side = start; next.has(side);) {
        loop.push(point(side));
        const following = next.get(side);
        next.delete(side);
        side = following;
      }
      const middle = (n) => {
        const [p, q] = [loop[n % loop.length], loop[(n + 1) % loop.length]];
        return [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
      };
      path.moveTo(...middle(loop.length - 1));
      loop.forEach((corner, n) => path.quadraticCurveTo(...corner, ...middle(n)));
      path.closePath();
    }
    return path;
  }

  // The voxel of each object that is nearest to its centre, by its number; null for one not shown.
  function places({ data, shape: [depth, height, width], ids }) {
    const [count, z, y, x, nearest] = Array.from({ length: 5 }, () => new Float64Array(ids.length + 1));
    const found = new Array(ids.length + 1).fill(null);
    const each = (visit) => {
      for (let plane = 0, n = 0; plane < depth; plane++)
        for (let row = 0; row < height; row++)
          for (let column = 0; column < width; column++, n++) if (data[n]) visit(data[n], plane, row, column);
    };
    each((label, plane, row, column) => {
      count[label] += 1;
      z[label] += plane;
      y[label] += row;
      x[label] += column;
    });
    each((label, plane, row, column) => {
      const total = count[label];
      const away = (plane - z[label] / total) ** 2 + (row - y[label] / total) ** 2 + (column - x[label] / total) ** 2;
      if (found[label] && away >= nearest[label]) return;
      nearest[label] = away;
      found[label] = [plane, row, column];
    });
    return found;
  }

  // Of each track its places by frame, [frame, row, column], in a list by its number.
  function trails({ data, shape: [frames, height, width], ids }) {
    const found = Array.from({ length: ids.length + 1 }, () => []);
    for (let frame = 0, n = 0; frame < frames; frame++) {
      const sums = new Map();
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++, n++) {
          if (!data[n]) continue;
          if (!sums.has(data[n])) sums.set(data[n], [0, 0, 0]);
          const sum = sums.get(data[n]);
          sum[0] += 1;
          sum[1] += row;
          sum[2] += column;
        }
      for (const [label, [count, row, column]] of sums) found[label].push([frame, row / count, column / count]);
    }
    return found;
  }

  // The highest IoU of each object of either volume with one of the other, on the shown grid.
  function overlaps(truth, guess) {
    const many = guess.ids.length + 1;
    const sizes = [new Float64Array(truth.ids.length + 1), new Float64Array(many)];
    const shared = new Map();
    for (let n = 0; n < truth.data.length; n++) {
      const [one, other] = [truth.data[n], guess.data[n]];
      sizes[0][one]++;
      sizes[1][other]++;
      if (one && other) shared.set(one * many + other, (shared.get(one * many + other) || 0) + 1);
    }
    const best = sizes.map((of) => new Float64Array(of.length));
    for (const [pair, count] of shared) {
      const both = [Math.floor(pair / many), pair % many];
      const iou = count / (sizes[0][both[0]] + sizes[1][both[1]] - count);
      both.forEach((label, side) => { best[side][label] = Math.max(best[side][label], iou); });
    }
    return best;
  }

  // Whether the browser returns the pixels of a canvas as they are: some hide them from scripts.
  function honest() {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "rgb(90, 90, 90)";
    pen.fillRect(0, 0, 8, 8);
    return pen.getImageData(0, 0, 8, 8).data.every((value, n) => n % 4 === 3 || Math.abs(value - 90) < 5);
  }

  return { PLANES, cut, decode, honest, inflate, outlines, overlaps, places, trails };
})();
