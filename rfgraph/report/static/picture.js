// The input, and what a unit sees of it: one picture, a strip of time, or three sides of a volume.
"use strict";

class Picture {
  // Bitmaps are no larger; of masks that are, several elements share a pixel.
  static MOST = 1024;
  // The widest margin around the input, as a share of it.
  static MARGIN = .25;

  constructor(holder, pick) {
    this.holder = holder;
    this.pick = pick;
    this.image = null;
    this.last = null;
    Elements.onWidth(holder, () => this.last && this.draw(this.last));
  }

  // `told` has shape, axes, region, box, fields (start, size, stride of each axis or null), own (first
  // and last place of the unit's own elements, by axis) and label.
  draw(told) {
    this.last = told;
    const {axes} = told;
    const sides = axes.length < 3 ? [axes] : [[axes[1], axes[2]], [axes[0], axes[2]], [axes[0], axes[1]]];
    if (this.holder.childElementCount !== sides.length) {
      this.holder.replaceChildren(...sides.map(() => Elements.of("figure", {},
        Elements.of("canvas", {role: "img"}), Elements.of("figcaption"))));
    }
    this.holder.classList.toggle("is-three", sides.length > 1);
    sides.forEach((side, k) => this.side(this.holder.children[k], told, side));
  }

  side(figure, told, side) {
    const [canvas, caption] = figure.children;
    const {shape} = told;
    const [rows, columns] = side.length > 1 ? side : [null, side.length ? side[0] : null];
    const n = rows === null ? 1 : shape[rows], m = columns === null ? 1 : shape[columns];
    const margins = [this.margin(told, rows), this.margin(told, columns)];
    const room = figure.clientWidth || 300;
    const most = Math.max(240, window.innerHeight * (this.holder.children.length > 1 ? .4 : .62));
    let scale = room / (m + 2 * margins[1]), height = (n + 2 * margins[0]) * scale, stretch = 1;
    if (rows === null) {
      height = 92;
      stretch = height / scale;
    } else if (height > most) {
      scale *= most / height;
      height = most;
    }
    const width = (m + 2 * margins[1]) * scale;
    canvas.style.width = `${width}px`;
    const pen = Elements.sized(canvas, width, height);
    const left = margins[1] * scale, top = rows === null ? 14 : margins[0] * scale;
    const down = rows === null ? height - 28 : n * scale, across = m * scale;
    pen.imageSmoothingEnabled = false;
    pen.fillStyle = Elements.colour("panel");
    pen.fillRect(left, top, across, down);
    const laid = this.image && rows !== null && side.length === told.axes.length;
    if (laid) {
      pen.imageSmoothingEnabled = true;
      pen.drawImage(this.image, left, top, across, down);
      pen.imageSmoothingEnabled = false;
    } else this.grid(pen, left, top, across, down, rows === null ? 0 : n, m, scale);
    const mask = this.bitmap(told, side, n, m, laid);
    if (mask) pen.drawImage(mask, left, top, across, down);
    pen.strokeStyle = Elements.colour("edge");
    pen.lineWidth = 1;
    pen.strokeRect(left + .5, top + .5, across - 1, down - 1);
    const span = (axis, ends) => axis === null ? [0, 1] : [ends[axis][0], ends[axis][1] + 1];
    const frame = (ends, colour, dash, thick) => {
      const [r0, r1] = span(rows, ends), [c0, c1] = span(columns, ends);
      const high = rows === null ? down : scale;
      const edges = [left + c0 * scale, top + r0 * high, Math.max((c1 - c0) * scale, 1), Math.max((r1 - r0) * high, 1)];
      // A light line below keeps it apart from what is seen.
      for (const [stroke, width] of [["panel", thick + 2], [colour, thick]]) {
        pen.strokeStyle = Elements.colour(stroke);
        pen.lineWidth = width;
        pen.setLineDash(stroke === colour ? dash : []);
        pen.strokeRect(...edges);
      }
      pen.setLineDash([]);
    };
    if (told.field) frame(told.field, "soft", [6, 4], 1.3);
    if (told.box) frame(told.box, "mark", [], 2);
    if (told.own) frame(told.own, "own", [], 2);
    const named = (axis) => `axis ${axis} (${shape[axis]})`;
    caption.textContent = side.length > 1 ? `${named(rows)} down, ${named(columns)} across`
      : columns === null ? "" : `${named(columns)} across`;
    const away = told.axes.filter((axis) => !side.includes(axis));
    if (away.length) caption.textContent += `, projected along axis ${away.join(", ")}`;
    canvas.setAttribute("aria-label", told.label);
    canvas.style.cursor = this.pick ? "crosshair" : "default";
    canvas.onclick = (event) => {
      const at = (offset, begin, size) => Math.floor((offset - begin) / size);
      const found = new Map();
      if (rows !== null) found.set(rows, at(event.offsetY, top, scale));
      if (columns !== null) found.set(columns, at(event.offsetX, left, scale));
      for (const [axis, place] of found) found.set(axis, Math.min(Math.max(place, 0), shape[axis] - 1));
      this.pick?.(found);
    };
  }

  // Elements around the input, so that a field that begins in the padding is seen to.
  margin(told, axis) {
    if (axis === null || !told.field) return 0;
    const [first, last] = told.field[axis], n = told.shape[axis];
    const beyond = Math.max(-first, last - n + 1, 0);
    return Math.min(beyond + n * .01, n * Picture.MARGIN);
  }

  grid(pen, left, top, across, down, n, m, scale) {
    if (scale < 7) return;
    pen.strokeStyle = Elements.colour("line");
    pen.lineWidth = .7;
    pen.beginPath();
    for (let k = 1; k < m; k++) { pen.moveTo(left + k * scale, top); pen.lineTo(left + k * scale, top + down); }
    for (let k = 1; k < n; k++) { pen.moveTo(left, top + k * scale); pen.lineTo(left + across, top + k * scale); }
    pen.stroke();
  }

  // What is seen in colour, or over an image what is not seen in shade.
  bitmap(told, side, n, m, laid) {
    const mask = side.length ? told.side(side) : new Uint8Array([told.region.length ? 1 : 0]);
    if (!mask) return null;
    const [step, skip] = [n, m].map((size) => Math.ceil(size / Picture.MOST));
    const height = Math.ceil(n / step), width = Math.ceil(m / skip);
    const seen = new Uint8Array(height * width);
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < m; c++) {
        if (mask[r * m + c]) seen[Math.floor(r / step) * width + Math.floor(c / skip)] = 1;
      }
    }
    const canvas = Elements.of("canvas", {width, height}), pen = canvas.getContext("2d");
    pen.fillStyle = Elements.colour(laid ? "shade" : "seen");
    pen.fillRect(0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height);
    for (let i = 0; i < seen.length; i++) if (seen[i] === (laid ? 1 : 0)) pixels.data[4 * i + 3] = 0;
    pen.putImageData(pixels, 0, 0);
    return canvas;
  }
}
