// The units of a value as a map, on which one, or a region, is chosen.
"use strict";

class Units {
  constructor(holder, choose) {
    this.holder = holder;
    this.choose = choose;
    this.canvas = Elements.of("canvas", {tabindex: 0, role: "application",
      "aria-roledescription": "map of units", "aria-describedby": "units-about"});
    holder.append(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerup", (event) => this.up(event));
    this.canvas.addEventListener("pointercancel", () => { this.begun = null; this.draw(); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    Elements.onWidth(holder, () => this.state && this.draw());
  }

  // The region of a value between two of its units, or of one.
  static region(model, state) {
    const {value, unit, far} = state, extent = model.extent(value);
    const map = model.map(value, state.input);
    const own = unit.map((at, a) => {
      const mask = new Uint8Array(extent[a]);
      mask[at] = 1;
      return mask;
    });
    if (!far) return Regions.ofMasks(own);
    const digits = [...map.rows, ...map.columns];
    const axes = [...new Set(digits.map(([axis]) => axis))].sort((a, b) => a - b);
    const dims = axes.map((a) => extent[a]), back = Regions.strides(dims);
    const mask = Regions.made(Regions.product(dims));
    const [rows, columns] = Units.spans(model, state);
    for (let r = rows[0]; r <= rows[1]; r++) {
      for (let c = columns[0]; c <= columns[1]; c++) {
        const made = Model.moved(Model.moved(unit, map.rows, r), map.columns, c);
        mask[axes.reduce((sum, a, k) => sum + made[a] * back[k], 0)] = 1;
      }
    }
    const rest = own.map((m, a) => [a, m]).filter(([a]) => !axes.includes(a) && extent[a] > 1)
      .map(([a, m]) => Regions.factor([a], [m.length], m));
    return [[...rest, ...Regions.split(axes, dims, mask)]];
  }

  // First and last row and column of what is chosen.
  static spans(model, state) {
    const map = model.map(state.value, state.input);
    return [map.rows, map.columns].map((digits) => {
      const ends = [state.unit, state.far || state.unit].map((unit) => Model.place(digits, unit));
      return [Math.min(...ends), Math.max(...ends)];
    });
  }

  show(model, state) {
    this.model = model;
    this.state = state;
    this.map = model.map(state.value, state.input);
    this.size = [Model.size(this.map.rows), Model.size(this.map.columns)];
    this.canvas.hidden = this.size[0] * this.size[1] < 2;
    this.draw();
  }

  draw(spans = Units.spans(this.model, this.state)) {
    if (this.canvas.hidden) return;
    const [n, m] = this.size, room = Math.min(this.holder.clientWidth || 240, window.innerWidth < 760 ? 900 : 352);
    let height = Math.max(n === 1 ? 40 : n / m * room, 24), width = room;
    if (height > room * 1.2) { width = Math.max(width * room * 1.2 / height, 40); height = room * 1.2; }
    this.canvas.style.width = `${width}px`;
    const pen = Elements.sized(this.canvas, width, height);
    const [down, across] = this.cell = [height / n, width / m];
    pen.fillStyle = Elements.colour("panel");
    pen.fillRect(0, 0, width, height);
    if (Math.min(down, across) > 5) {
      pen.strokeStyle = Elements.colour("line");
      pen.beginPath();
      for (let k = 1; k < m; k++) { pen.moveTo(k * across, 0); pen.lineTo(k * across, height); }
      for (let k = 1; k < n; k++) { pen.moveTo(0, k * down); pen.lineTo(width, k * down); }
      pen.stroke();
    }
    const [rows, columns] = spans;
    pen.fillStyle = Elements.colour("seen-soft");
    if (rows[0] >= 0) pen.fillRect(0, rows[0] * down, width, (rows[1] - rows[0] + 1) * down);
    if (columns[0] >= 0) pen.fillRect(columns[0] * across, 0, (columns[1] - columns[0] + 1) * across, height);
    if (rows[0] >= 0 && columns[0] >= 0) {
      pen.fillStyle = Elements.colour("own");
      const [w, h] = [columns, rows].map(([from, to], k) => Math.max((to - from + 1) * [across, down][k], 3));
      pen.fillRect(columns[0] * across, rows[0] * down, w, h);
    }
    pen.strokeStyle = Elements.colour("edge");
    pen.strokeRect(.5, .5, width - 1, height - 1);
    this.canvas.setAttribute("aria-label",
      `${n} by ${m} units of ${this.model.names[this.state.value]}; arrow keys move`);
  }

  at(event) {
    const clamp = (place, size) => Math.min(Math.max(Math.floor(place), 0), size - 1);
    return [clamp(event.offsetY / this.cell[0], this.size[0]), clamp(event.offsetX / this.cell[1], this.size[1])];
  }

  unit([row, column]) {
    return Model.moved(Model.moved(this.state.unit, this.map.rows, row), this.map.columns, column);
  }

  down(event) {
    if (event.button) return;
    this.begun = this.at(event);
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.begun) return;
    const here = this.at(event);
    this.draw([0, 1].map((k) => [Math.min(here[k], this.begun[k]), Math.max(here[k], this.begun[k])]));
  }

  up(event) {
    if (!this.begun) return;
    const here = this.at(event), begun = this.begun;
    this.begun = null;
    const single = here[0] === begun[0] && here[1] === begun[1];
    this.choose(this.unit(begun), single ? null : this.unit(here));
  }

  key(event) {
    const steps = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const from = event.shiftKey && this.state.far ? this.state.far : this.state.unit;
    const place = [this.map.rows, this.map.columns].map((digits, k) =>
      Math.min(Math.max(Model.place(digits, from) + step[k], 0), this.size[k] - 1));
    const next = this.unit(place);
    if (event.shiftKey) this.choose(this.state.unit, next); else this.choose(next, null);
  }
}
