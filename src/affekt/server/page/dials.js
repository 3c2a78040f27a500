// The sliders of emotion_bias.

import { signed } from "./colour.js";

export class Dials {
  constructor(element) {
    this.element = element;
    this.sliders = new Map();
    this.most = 1;
  }

  clear() {
    this.sliders.clear();
    this.element.replaceChildren();
  }

  add(name, value = 0) {
    if (this.sliders.has(name)) {
      this.set(name, value);
      return;
    }
    const row = document.createElement("div");
    row.className = "dial";
    const label = document.createElement("label");
    label.textContent = name;
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -this.most, max: this.most, step: 0.05, value });
    slider.id = label.htmlFor = `dial-${name.replaceAll(" ", "-")}`;
    const shown = document.createElement("output");
    shown.htmlFor = slider.id;
    const remove = document.createElement("button");
    Object.assign(remove, { type: "button", textContent: "✕", ariaLabel: `remove ${name}` });
    const tell = () => {
      const dial = Number(slider.value), half = 50 + (dial / this.most) * 50;
      shown.textContent = dial === 0 ? "0" : signed(dial);
      // The bar grows from the middle.
      row.style.setProperty("--from", `${Math.min(50, half)}%`);
      row.style.setProperty("--to", `${Math.max(50, half)}%`);
      row.style.setProperty("--fill", `var(--${dial > 0 ? "red" : "blue"})`);
    };
    slider.addEventListener("input", tell);
    slider.addEventListener("dblclick", () => this.set(name, 0));
    remove.addEventListener("click", () => {
      this.sliders.delete(name);
      row.remove();
    });
    row.append(label, slider, shown, remove);
    this.element.append(row);
    this.sliders.set(name, slider);
    tell();
  }

  set(name, value) {
    const slider = this.sliders.get(name);
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
  }

  zero() {
    for (const name of this.sliders.keys()) this.set(name, 0);
  }

  get bias() {
    const values = [...this.sliders].map(([name, slider]) => [name, Number(slider.value)]);
    return Object.fromEntries(values.filter(([, value]) => value !== 0));
  }
}
