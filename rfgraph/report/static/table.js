// All values and their figures, to be sorted and filtered.
"use strict";

class Table {
  static PAGE = 200;

  constructor(holder, model, choose) {
    this.holder = holder;
    this.model = model;
    this.choose = choose;
    this.sorted = {key: "order", down: false};
    this.most = Table.PAGE;
    this.input = 0;
    this.rows = model.values.map((value, order) => ({value, order, name: model.names[value], op: model.operator(value),
      units: Regions.product(model.extent(value))}));
    Elements.id("filter").addEventListener("input", () => { this.most = Table.PAGE; this.draw(); });
  }

  columns() {
    const figures = ["size", "stride", "start", "reach"].map((key) => {
      const number = (row) => this.number(row, key);
      return {key, title: key, text: (row) => this.text(row, key), by: number};
    });
    return [
      {key: "order", title: "№", text: (row) => row.order, by: (row) => row.order},
      {key: "name", title: "value", text: (row) => row.name, by: (row) => row.name},
      {key: "op", title: "operator", text: (row) => row.op, by: (row) => row.op},
      {key: "units", title: "shape", text: (row) => this.model.shape(row.value), by: (row) => row.units},
      ...figures,
    ];
  }

  text(row, key) {
    const fields = this.model.fields(row.value, this.input);
    if (!fields) return "–";
    const told = fields.map((field) => (key === "size" && field.size === "all" ? "all" : field[key] ?? "–"));
    const same = told.every((each) => each === told[0]);
    const wider = key === "size" && fields.some((field) => field.global && field.size !== "all") ? " +global" : "";
    const rough = key === "size" && fields.some((field) => field.uneven) ? " ~" : "";
    return (key === "size" ? told.join("×") : same ? told[0] ?? "–" : told.join(", ")) + rough + wider;
  }

  number(row, key) {
    const field = this.model.fields(row.value, this.input)?.[0];
    if (!field) return -Infinity;
    if (key === "size") return field.n ? field.n[1] : Infinity;
    if (key === "stride") return field.s ?? Infinity;
    if (key === "start") return field.o ?? -Infinity;
    return field.reach ? parseFloat(field.reach) : Infinity;
  }

  draw() {
    const words = Elements.id("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let rows = this.rows.filter((row) =>
      words.every((word) => row.name.toLowerCase().includes(word) || row.op.toLowerCase().includes(word)));
    const columns = this.columns(), {key, down} = this.sorted;
    const by = columns.find((column) => column.key === key).by;
    rows = rows.sort((a, b) => {
      const [x, y] = [by(a), by(b)];
      const order = x < y ? -1 : x > y ? 1 : a.order - b.order;
      return down ? -order : order;
    });
    const shown = rows.slice(0, this.most);
    const about = `${rows.length.toLocaleString()} of ${this.rows.length.toLocaleString()} values`;
    Elements.id("table-about").textContent = shown.length < rows.length ? `${about}, the first ${shown.length} are listed` : about;
    const head = Elements.of("tr", {}, columns.map((column) => Elements.of("th",
      {scope: "col", "aria-sort": column.key === key ? (down ? "descending" : "ascending") : null},
      Elements.of("button", {type: "button", onclick: () => this.sort(column.key)},
        column.title + (column.key === key ? (down ? " ↓" : " ↑") : "")))));
    const body = shown.map((row) => {
      const line = Elements.of("tr", {onclick: () => this.choose(row.value)}, columns.map((column) =>
        column.key === "name" ? Elements.of("td", {class: "name"}, Elements.of("button", {type: "button", class: "link"}, row.name))
          : Elements.of("td", {}, String(column.text(row)))));
      line.classList.toggle("is-chosen", row.value === this.value);
      line.value = row.value;
      return line;
    });
    this.holder.replaceChildren(Elements.of("table", {class: "values"}, Elements.of("thead", {}, head), Elements.of("tbody", {}, body)));
    if (shown.length < rows.length) {
      this.holder.append(Elements.of("button", {type: "button", class: "more",
        onclick: () => { this.most = this.most < 2000 ? this.most * 4 : Infinity; this.draw(); }}, "List more"));
    }
  }

  sort(key) {
    this.sorted = {key, down: this.sorted.key === key && !this.sorted.down};
    this.draw();
    this.holder.querySelectorAll("th button")[this.columns().findIndex((column) => column.key === key)].focus();
  }

  show(value, input) {
    this.value = value;
    if (input !== this.input) { this.input = input; this.draw(); return; }
    for (const line of this.holder.querySelectorAll("tbody tr")) line.classList.toggle("is-chosen", line.value === value);
  }
}
