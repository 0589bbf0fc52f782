// The page: what is chosen, and who is told.
"use strict";

const Page = (() => {
  const {of, id} = Elements;
  const data = JSON.parse(id("data").textContent);
  const model = new Model(data);
  const state = {value: null, unit: null, far: null, input: 0};
  let seen = null, begun = false;

  // ---------------------------------------------------------------- choosing

  const choose = (value, unit, {far = null, reveal = true} = {}) => {
    const inputs = model.sees(value);
    const input = inputs.includes(state.input) || !inputs.length ? state.input : inputs[0];
    const place = unit || (state.value === null ? model.middle(value)
      : value === state.value ? state.unit : model.carried(state.unit, state.value, value, input));
    const other = value !== state.value;
    Object.assign(state, {value, unit: place, far, input});
    seen = model.see(value, Units.region(model, state), far ? null : place);
    draw();
    if (!begun) return;
    if (other) graph.show(value, {reveal});
    table.show(value, state.input);
    growth.show(value, state.input);
  };

  const step = (by) => {
    const at = model.values.indexOf(state.value) + by;
    if (at >= 0 && at < model.values.length) choose(model.values[at]);
  };

  const picture = new Picture(id("pictures"), (places) => {
    // The unit under a place of the input, as the value is laid over it.
    const fields = model.fields(state.value, state.input), axes = model.axes(state.input);
    const lie = model.lie(state.value, state.input);
    let unit = [...state.unit];
    axes.forEach((axis, k) => {
      const digits = lie?.[k] || [];
      if (!places.has(axis) || !digits.length) return;
      const n = Model.size(digits), size = model.extent(model.inputs[state.input])[axis];
      const stride = fields?.[k]?.s || size / n;
      unit = Model.moved(unit, digits, Math.min(Math.floor(places.get(axis) / stride), n - 1));
    });
    choose(state.value, unit);
  });
  const units = new Units(id("map"), (unit, far) => choose(state.value, unit, {far}));
  const graph = new Graph(id("graph"), model, (value) => choose(value, null, {reveal: false}));
  const table = new Table(id("table"), model, choose);
  const growth = new Growth(id("growth"), model, choose);
  const details = new Details(id("details"), model, choose);
  const search = new Search(model, choose);

  // ---------------------------------------------------------------- drawing

  const span = ([lo, hi]) => lo === hi ? String(lo) : `${lo}–${hi}`;

  // Where along an axis: "rows 2–24", "all columns", "18–49 along axis 2".
  const along = (axis, [lo, hi], size, axes) => {
    const all = lo === 0 && hi === size - 1, name = axes.length === 2 && (axis === axes[0] ? "rows" : "columns");
    if (name && axes.includes(axis)) return all ? `all ${name}` : `${lo === hi ? name.slice(0, -1) : name} ${span([lo, hi])}`;
    return `${all ? `all ${size}` : span([lo, hi])} along axis ${axis}`;
  };

  // What is seen, in words.
  const sentence = (region, box, shape, axes) => {
    const name = model.names[model.inputs[state.input]], who = title();
    if (!box) return `${who} sees nothing of ${name}.`;
    if (!shape.length) return `${who} sees ${name}, a scalar.`;
    const sides = axes.length ? axes : shape.map((_, a) => a);
    const many = sides.map((a) => box[a][1] - box[a][0] + 1);
    const extent = `${many.join("×")} of ${sides.map((a) => shape[a]).join("×")} of ${name}`;
    const others = shape.map((_, a) => a).filter((a) => !sides.includes(a) && shape[a] > 1);
    const where = [...sides, ...others].map((a) => along(a, box[a], shape[a], axes));
    const count = Regions.size(region, shape), whole = Regions.product(box.map(([lo, hi]) => hi - lo + 1));
    const holes = Number.isNaN(count) ? "" : count < whole
      ? ` With holes: ${count.toLocaleString("en")} of the ${whole.toLocaleString("en")} elements in that box (${Math.max(.1, 100 * count / whole).toPrecision(3)}%).`
      : ` ${count.toLocaleString("en")} element${count === 1 ? "" : "s"}.`;
    return `${who} sees ${extent}: ${where.join(", ")}.${holes}`;
  };

  // The unit, or the region, as it is written.
  const title = () => {
    const name = model.names[state.value];
    if (!state.far) return `${name}[${state.unit.join(",")}]`;
    const map = model.map(state.value, state.input), digits = [...map.rows, ...map.columns];
    const plain = map.rows.length < 2 && map.columns.length < 2
      && digits.every(([axis, inner, size]) => inner === 1 && size === model.extent(state.value)[axis]);
    const [rows, columns] = Units.spans(model, state);
    if (!plain) return `${name}, in rows ${span(rows)} and columns ${span(columns)} of its units,`;
    const at = [...state.unit].map(String);
    map.rows.forEach(([axis]) => { at[axis] = `${rows[0]}:${rows[1] + 1}`; });
    map.columns.forEach(([axis]) => { at[axis] = `${columns[0]}:${columns[1] + 1}`; });
    return `${name}[${at.join(",")}]`;
  };

  const draw = () => {
    const given = model.inputs[state.input], shape = model.extent(given), axes = model.axes(state.input);
    const region = seen.regions.get(given), box = Regions.box(region, shape);
    const fields = model.fields(state.value, state.input), lie = model.lie(state.value, state.input);
    id("value").textContent = model.names[state.value];
    id("makes").textContent = `${model.operator(state.value)} · ${model.shape(state.value)} · value ${model.values.indexOf(state.value) + 1} of ${model.values.length}`;
    const words = sentence(region, box, shape, axes);
    id("sentence").textContent = words;
    // The unit's own place, and its field were there no border.
    const own = {}, field = {};
    let placed = axes.length > 0 && !state.far, unclipped = placed && axes.length > 0;
    axes.forEach((axis, k) => {
      const f = fields?.[k], place = lie?.[k]?.length ? Model.place(lie[k], state.unit) : -1;
      if (!f?.s || place < 0 || f.uneven) { placed = unclipped = false; return; }
      own[axis] = [Math.floor(place * f.s), Math.ceil((place + 1) * f.s) - 1].map((c) => Math.min(Math.max(c, 0), shape[axis] - 1));
      if (f.global || f.o === undefined || !f.n || f.n[0] !== f.n[1] || !Number.isInteger(f.s)) unclipped = false;
      else field[axis] = [f.o + place * f.s, f.o + place * f.s + f.n[1] - 1];
    });
    // Without borders it is worth a line where that can be drawn around the input.
    const beyond = (axis) => Math.max(-field[axis][0], field[axis][1] - shape[axis] + 1);
    const spills = unclipped && axes.some((axis) => beyond(axis) > 0) && axes.every((axis) => beyond(axis) <= shape[axis] * Picture.MARGIN);
    id("key-field").hidden = !spills;
    id("key-own").hidden = !placed;
    picture.draw({shape, axes, region, box, label: words, own: placed ? own : null, field: spills ? field : null,
      side: (pair) => shownMask(region, pair, shape)});
    const badge = id("badge"), said = {
      exact: ["exact", "every element that is read, and no other"],
      most: ["at most", `more may be taken to be read than is: ${seen.reasons[0] ?? ""}${seen.reasons.length > 1 ? ` (and ${seen.reasons.length - 1} more: see the notes)` : ""}`],
      box: ["box", "the mask would be too large here: what is coloured holds all that is read"],
    }[seen.exactness];
    badge.textContent = said[0];
    badge.className = `badge is-${seen.exactness}`;
    id("because").textContent = said[1];
    const map = model.map(state.value, state.input);
    const [high, wide] = [Model.size(map.rows), Model.size(map.columns)];
    id("units-about").textContent = high * wide < 2 ? "It has one place."
      : `${high > 1 ? `${high}×` : ""}${wide}${map.placed ? ", as they lie over the input" : ""}: click one, drag a region, or use the arrow keys.`;
    id("image").hidden = axes.length !== 2;
    units.show(model, state);
    id("unit").value = state.unit.join(",");
    id("unit-wrong").textContent = "";
    sliders(map);
    details.show(state);
    id("previous").disabled = model.values[0] === state.value;
    id("next").disabled = model.values[model.values.length - 1] === state.value;
    const which = id("input"), inputs = model.sees(state.value);
    id("which-input").hidden = model.inputs.length < 2;
    which.replaceChildren(...model.inputs.map((value, k) => of("option",
      {value: k, selected: k === state.input, disabled: !inputs.includes(k)}, model.names[value])));
  };

  const shownMask = (region, pair, shape) => {
    try {
      const sorted = [...pair].sort((a, b) => a - b);
      return Regions.projection(region, sorted, shape);
    } catch (error) {
      if (error instanceof Regions.TooLarge) return null;
      throw error;
    }
  };

  // A slider for each axis that the map does not show.
  const sliders = (map) => {
    const extent = model.extent(state.value);
    const own = new Map();
    for (const [axis, inner, size] of [...map.rows, ...map.columns]) own.set(axis, (own.get(axis) || 1) * size);
    const left = extent.map((n, a) => [a, n]).filter(([a, n]) => n > 1 && (own.get(a) || 1) < n);
    const holder = id("sliders"), key = JSON.stringify([state.value, left]);
    if (holder.dataset.key !== key) {
      holder.dataset.key = key;
      holder.replaceChildren(...left.map(([axis, n]) => of("label", {}, `axis ${axis}`,
        of("input", {type: "range", min: 0, max: n - 1, "data-axis": axis, oninput: (event) => {
          const unit = [...state.unit];
          unit[axis] = Number(event.target.value);
          choose(state.value, unit);
        }}), of("output"))));
    }
    for (const label of holder.children) {
      const [, range, output] = [null, ...label.children], axis = Number(range.dataset.axis);
      range.value = state.unit[axis];
      output.textContent = `${state.unit[axis]} of ${extent[axis]}`;
    }
  };

  // ---------------------------------------------------------------- the rest of the page

  const listed = () => {
    const total = data.nodes.length.toLocaleString("en");
    id("model").textContent = Elements.plain(data.model);
    id("summary").textContent = `${total} nodes · ${model.values.length.toLocaleString("en")} values · `
      + model.inputs.map((value) => `${model.names[value]} ${model.shape(value)}`).join(", ");
    const findings = data.findings.map((finding) => of("article", {class: `finding is-${finding.severity}`},
      of("p", {}, of("span", {class: "code"}, `${finding.code} ${finding.severity}`), Elements.plain(finding.message)),
      of("p", {class: "muted"}, Elements.plain(`${finding.place}${finding.place ? ". " : ""}${finding.remedy}`)),
      of("p", {}, [...new Set(finding.values)].map((name) => data.program.values.indexOf(name)).filter((value) => model.has(value))
        .slice(0, 8).flatMap((value) => [details.link(value), " "]))));
    const checks = data.checks.length ? `Checks made: ${data.checks.join(", ")}.` : "No checks were made.";
    id("findings").replaceChildren(...(findings.length ? findings : [of("p", {}, data.checks.length ? "Nothing was found." : "")]),
      ...data.remarks.map((remark) => of("p", {class: "muted"}, remark)), of("p", {class: "muted"}, checks));
    const groups = new Map();
    for (const [, operator, node, reason] of data.notes) {
      const key = JSON.stringify([operator, reason]);
      groups.set(key, [...(groups.get(key) || []), node]);
    }
    const notes = [...groups].map(([key, nodes]) => {
      const [operator, reason] = JSON.parse(key);
      const names = nodes.slice(0, 3).join(", ") + (nodes.length > 3 ? ` and ${nodes.length - 3} more` : "");
      return of("li", {}, of("span", {class: "name"}, Elements.plain(`${operator} ${names}`.trim())), Elements.plain(`: ${reason}`));
    });
    const unknown = data.nodes.flatMap((node) => node.out).filter((value) => data.values[value].fields && !model.has(value));
    if (unknown.length) {
      notes.unshift(of("li", {}, `Of ${unknown.length} values the shape is not known, so that none of their units can be chosen: `,
        of("span", {class: "name"}, unknown.slice(0, 5).map((value) => model.names[value]).join(", ")), unknown.length > 5 ? " …" : "."));
    }
    if (data.held.length) notes.unshift(of("li", {}, `Held fixed, and not followed: ${data.held.map(Elements.plain).join(", ")}.`));
    id("notes").replaceChildren(notes.length ? of("ul", {class: "plain"}, notes) : of("p", {}, "Nothing had to be assumed."));
    id("footer").textContent = `Made by rfgraph ${data.version}. This page holds the program that the model was lowered to, and works out `
      + "every mask itself: nothing is loaded, and nothing is sent. Nodes that no input reaches are left out.";
  };

  const theme = () => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const set = (name) => {
      document.documentElement.dataset.theme = name;
      id("theme").textContent = name === "dark" ? "Light" : "Dark";
      id("theme").setAttribute("aria-label", `Switch to ${name === "dark" ? "light" : "dark"} colours`);
      if (state.value !== null) draw();
    };
    dark.addEventListener("change", () => set(dark.matches ? "dark" : "light"));
    id("theme").addEventListener("click", () => set(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
    set(dark.matches ? "dark" : "light");
  };

  const images = () => {
    const take = async (file) => {
      if (!file || !file.type.startsWith("image/")) return;
      try {
        picture.image = await createImageBitmap(file);
      } catch {
        id("because").textContent = "that file is no image that the browser can read";
        return;
      }
      id("no-image").hidden = false;
      draw();
    };
    const holder = id("seen");
    id("image").addEventListener("click", () => id("file").click());
    id("file").addEventListener("change", (event) => take(event.target.files[0]));
    id("no-image").addEventListener("click", () => { picture.image = null; id("no-image").hidden = true; draw(); });
    for (const name of ["dragenter", "dragover"]) {
      holder.addEventListener(name, (event) => { event.preventDefault(); id("pictures").classList.add("drop"); });
    }
    for (const name of ["dragleave", "drop"]) holder.addEventListener(name, () => id("pictures").classList.remove("drop"));
    holder.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });
    document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
  };

  const keys = () => {
    const does = {j: () => step(1), k: () => step(-1), t: () => id("theme").click(), "/": () => id("search").focus(), "?": () => id("keys").showModal()};
    document.addEventListener("keydown", (event) => {
      if (!does[event.key] || event.ctrlKey || event.metaKey || event.altKey || !id("single").checked) return;
      if (event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea, dialog")) return;
      event.preventDefault();
      does[event.key]();
    });
    id("help").addEventListener("click", () => id("keys").showModal());
    id("previous").addEventListener("click", () => step(-1));
    id("next").addEventListener("click", () => step(1));
    id("input").addEventListener("change", (event) => { state.input = Number(event.target.value); choose(state.value, state.unit); });
    id("unit").addEventListener("change", () => {
      const given = id("unit").value.replace(/[\[\]()\s]/g, "").split(",").map(Number);
      const extent = model.extent(state.value), padded = [...extent.slice(0, extent.length - given.length).map(() => 0), ...given];
      if (padded.length === extent.length && padded.every((c, a) => Number.isInteger(c) && c >= 0 && c < extent[a])) choose(state.value, padded);
      else id("unit-wrong").textContent = `There is no such unit: the shape is ${model.shape(state.value)}.`;
    });
    id("expand").addEventListener("click", () => { graph.layout.all(true); graph.draw(); graph.begin(); graph.show(state.value); });
    id("collapse").addEventListener("click", () => { graph.layout.all(false); graph.draw(); graph.fit(); });
    id("zoom-in").addEventListener("click", () => graph.zoom(1.3));
    id("zoom-out").addEventListener("click", () => graph.zoom(1 / 1.3));
    id("fit").addEventListener("click", () => graph.fit());
  };

  // The last value of which a unit sees half of the input at most along each axis, so that there is
  // something to be seen; else the last one with a place.
  const first = () => {
    const local = model.values.filter((value) => model.sees(value).some((k) => model.fields(value, k).some((f) => f.stride)));
    const half = local.filter((value) => {
      const [k] = model.sees(value), shape = model.extent(model.inputs[k]);
      return model.fields(value, k).every((f, j) => !f.global && f.n && f.n[1] <= shape[model.axes(k)[j]] / 2)
        && model.fields(value, k).some((f) => f.n[1] > 1);
    });
    return [...half, ...(half.length ? [] : local), ...(local.length ? [] : model.values)].pop();
  };

  // One after the other, so that the browser shows what is there already.
  const begin = async () => {
    const pause = () => new Promise((resolve) => setTimeout(resolve));
    listed();
    theme();
    images();
    keys();
    const value = first();
    if (value !== undefined) choose(value, null, {reveal: false});
    await pause();
    graph.draw();
    graph.begin();
    begun = true;
    if (value !== undefined) graph.show(state.value, {reveal: false});
    await pause();
    if (value !== undefined) growth.show(state.value, state.input);
    Object.assign(table, {value: state.value, input: state.input});
    table.draw();
    document.documentElement.dataset.ready = "1";
  };
  begin();

  return {choose, data, graph, model, search, get state() { return state; }, get seen() { return seen; }};
})();
