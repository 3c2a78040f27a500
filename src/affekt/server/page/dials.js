// The sliders of emotion_bias.

import { signed } from "./colour.js";

export class Dials {
  constructor(element) {
    this.element = element;
    this.values = new Map();
    this.most = 1;
  }

  add(name, value = 0) {
    if (this.values.has(name)) return;
    this.values.set(name, value);
    const row = document.createElement("div");
    row.className = "dial";
    const label = document.createElement("label");
    label.textContent = name;
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -this.most, max: this.most, step: 0.05, value });
    slider.id = label.htmlFor = `dial-${name.replaceAll(" ", "-")}`;
    const shown = document.createElement("output");
    const remove = document.createElement("button");
    Object.assign(remove, { type: "button", textContent: "✕", ariaLabel: `remove ${name}` });
    const set = () => {
      this.values.set(name, Number(slider.value));
      shown.textContent = signed(Number(slider.value));
    };
    slider.addEventListener("input", set);
    remove.addEventListener("click", () => {
      this.values.delete(name);
      row.remove();
    });
    row.append(label, slider, shown, remove);
    this.element.append(row);
    set();
  }

  zero() {
    for (const slider of this.element.querySelectorAll("input")) {
      slider.value = 0;
      slider.dispatchEvent(new Event("input"));
    }
  }

  get bias() {
    return Object.fromEntries([...this.values].filter(([, value]) => value !== 0));
  }
}
