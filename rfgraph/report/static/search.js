// The search: values and nodes by any part of their names.
"use strict";

class Search {
  static MOST = 40;

  constructor(model, choose) {
    this.model = model;
    this.choose = choose;
    this.input = Elements.id("search");
    this.list = Elements.id("found");
    this.texts = model.values.map((value) =>
      [value, `${model.names[value]} ${model.operator(value)} ${model.maker.get(value)?.name ?? ""}`.toLowerCase()]);
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
  }

  find() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return this.close();
    const found = this.texts.filter(([, text]) => words.every((word) => text.includes(word)));
    // What is called exactly so goes first.
    const exact = ([value]) => this.model.names[value].toLowerCase() === words.join(" ") ? 0 : 1;
    this.found = found.sort((a, b) => exact(a) - exact(b)).slice(0, Search.MOST).map(([value]) => value);
    this.at = 0;
    this.list.replaceChildren(...this.found.map((value, k) => Elements.of("li",
      {role: "option", id: `found-${k}`, onmousedown: (event) => { event.preventDefault(); this.take(k); }},
      Elements.of("span", {class: "name"}, this.model.names[value]),
      Elements.of("span", {class: "about"}, `${this.model.operator(value)} · ${this.model.shape(value)}`))),
    ...(found.length > this.found.length || !found.length ? [Elements.of("li", {role: "presentation", class: "muted"},
      found.length ? `and ${(found.length - this.found.length).toLocaleString()} more` : "nothing is called so")] : []));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  mark() {
    [...this.list.querySelectorAll('[role="option"]')].forEach((option, k) => {
      option.setAttribute("aria-selected", String(k === this.at));
      if (k === this.at) option.scrollIntoView({block: "nearest"});
    });
    if (this.found.length) this.input.setAttribute("aria-activedescendant", `found-${this.at}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  take(k) {
    const value = this.found?.[k];
    this.close();
    if (value !== undefined) { this.input.value = ""; this.input.blur(); this.choose(value); }
  }

  key(event) {
    if (event.key === "Escape") { this.close(); this.input.blur(); return; }
    if (this.list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const n = this.found.length;
      this.at = (this.at + (event.key === "ArrowDown" ? 1 : n - 1)) % Math.max(n, 1);
      this.mark();
    } else if (event.key === "Enter") this.take(this.at);
    else return;
    event.preventDefault();
  }
}
