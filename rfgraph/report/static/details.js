// What is told of the chosen value: its figures, its neighbours, and why it sees so far.
"use strict";

class Details {
  // So many milliseconds are spent on the question why.
  static LONGEST = 1500;
  // They are spent once nothing else has been chosen for so long.
  static PAUSE = 200;

  constructor(holder, model, choose) {
    this.holder = holder;
    this.model = model;
    this.choose = choose;
  }

  show(state) {
    const {model} = this, {value, input} = state, node = model.maker.get(value);
    const axes = model.axes(input), fields = model.fields(value, input);
    const line = (name, ...told) => Elements.of("tr", {}, Elements.of("th", {scope: "row"}, name), Elements.of("td", {}, told));
    const links = (values) => values.flatMap((each, k) => [k ? ", " : "", this.link(each)]);
    const rows = [line("shape", model.shape(value))];
    if (fields) {
      for (const [key, title] of [["size", "size"], ["stride", "stride"], ["start", "start"], ["reach", "reach"]]) {
        const told = fields.map((field) => field[key] ?? "–");
        rows.push(line(title, told.every((each) => each === told[0]) ? told[0] ?? "–" : told.join(", ")));
      }
      if (fields.some((field) => field.global)) rows.push(line("global", "sees the whole axis too, by a statistic or attention"));
      if (fields.some((field) => field.uneven)) rows.push(line("~", "figures of the units away from the borders, at this size"));
    }
    if (node) {
      rows.push(line("node", node.name));
      const before = node.in.filter((each) => model.has(each));
      if (before.length) rows.push(line("reads", links(before.slice(0, 12)), before.length > 12 ? " …" : ""));
    }
    const after = model.data.nodes.filter((each) => each.in.includes(value)).flatMap((each) => each.out)
      .filter((each) => model.has(each));
    if (after.length) rows.push(line("read by", links(after.slice(0, 12)), after.length > 12 ? " …" : ""));
    const about = axes.length ? `along ax${axes.length > 1 ? "es" : "is"} ${axes.join(", ")} of ${model.names[model.inputs[input]]}` : "";
    const why = Elements.of("div");
    this.holder.replaceChildren(
      Elements.of("h3", {}, `The value ${about}`),
      Elements.of("table", {class: "figures"}, Elements.of("tbody", {}, rows)), why);
    clearTimeout(this.later);
    if (!state.far && fields) this.later = setTimeout(() => this.why(why, state), Details.PAUSE);
  }

  link(value) {
    return Elements.of("button", {type: "button", class: "link", onclick: () => this.choose(value)}, this.model.names[value]);
  }

  // The nodes that set the ends of what the unit sees, from the input on.
  why(holder, {value, unit, input}) {
    const deadline = performance.now() + Details.LONGEST;
    const {model} = this, given = model.inputs[input], box = model.bounds.box(value, unit, given);
    if (!box) return;
    const told = new Map();
    for (const axis of model.axes(input)) {
      if (box[axis][0] === box[axis][1]) continue;
      const ways = [0, 1].map((end) => model.bounds.way(value, unit, given, axis, end, deadline));
      if (ways.some((way) => way[way.length - 1]?.value !== given)) {
        holder.append(Elements.of("h3", {}, "Why"), Elements.of("p", {class: "muted"},
          "The way to the input is too long to be worked out here; rfgraph why tells it."));
        return;
      }
      const key = JSON.stringify(ways.map((way) => way.map((hop) => [hop.value, hop.ends])));
      if (told.has(key)) told.get(key).axes.push(axis); else told.set(key, {axes: [axis], ways});
    }
    for (const {axes, ways} of told.values()) {
      holder.append(Elements.of("h3", {}, `Why: what adds along ax${axes.length > 1 ? "es" : "is"} ${axes.join(", ")}`));
      const alike = ways[0].length === ways[1].length && ways[0].every((hop, k) => hop.value === ways[1][k].value);
      if (alike) holder.append(this.way(ways[0].map((hop, k) => ({...hop, other: ways[1][k]}))));
      else ways.forEach((way, end) => holder.append(
        Elements.of("p", {class: "muted"}, end ? `the upper end, ${way[0].ends[1]}` : `the lower end, ${way[0].ends[0]}`), this.way(way)));
    }
  }

  way(hops) {
    const adding = [...hops].reverse().filter((hop) => hop.added || hop.other?.added || hop.value === hops[hops.length - 1].value);
    const most = Math.max(1, ...hops.map((hop) => Math.max(hop.added, hop.other?.added ?? 0)));
    const silent = hops.length - adding.length;
    return Elements.of("ol", {class: "why"}, adding.map((hop) => {
      const amounts = [hop.added, hop.other?.added].filter((n) => n !== undefined);
      const text = amounts.every((n) => n === amounts[0]) ? `${amounts[0] < 0 ? "" : "+"}${amounts[0]}`
        : amounts.map((n) => `${n < 0 ? "" : "+"}${n}`).join("|");
      const rod = Elements.of("span", {class: "rod", "aria-hidden": "true"});
      rod.style.width = `${Math.max(0, Math.max(...amounts)) / most * 100}%`;
      const input = hop.value === hops[hops.length - 1].value;
      return Elements.of("li", {}, Elements.of("span", {class: "amount"}, input ? `${hop.ends[0]}…${(hop.other || hop).ends[1]}` : text),
        Elements.of("span", {}, this.link(hop.value), ` ${this.model.operator(hop.value)}`), input ? null : rod);
    }), silent > 0 ? Elements.of("li", {class: "muted"}, Elements.of("span"), `${silent} more add nothing`) : null);
  }
}
