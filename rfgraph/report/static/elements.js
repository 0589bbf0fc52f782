// Elements of the page. Names of a model are set as text and never as markup.
"use strict";

const Elements = (() => {
  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return element;
  };
  const of = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const id = (name) => document.getElementById(name);
  // The colours of the style, asked for once as long as the theme is the same.
  const colours = new Map();
  const colour = (name) => {
    const root = document.documentElement, key = `${root.dataset.theme} ${name}`;
    if (!colours.has(key)) colours.set(key, getComputedStyle(root).getPropertyValue(`--${name}`).trim());
    return colours.get(key);
  };
  // Calls when an element has become wider or narrower.
  const onWidth = (element, call) => {
    let width = null;
    new ResizeObserver(() => {
      const now = element.clientWidth, changed = width !== null && now !== width;
      width = now;
      if (changed) call();
    }).observe(element);
  };
  // A canvas of so many pixels of the screen, and what draws on it in pixels of the page.
  const sized = (canvas, width, height) => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  };
  const shortened = (text, most) =>
    text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(1 - Math.floor(most / 2))}`;
  // A name as it can be read: what steers text, or can't be seen, is written out.
  const plain = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029]/gu,
    (character) => `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`);
  return {plain, of, svg, id, colour, onWidth, sized, shortened};
})();
