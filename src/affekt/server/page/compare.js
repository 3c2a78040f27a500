// What a bias changed: the emotions whose means differ most between two replies.

import { signed } from "./colour.js";

const ROWS = 6, SCALE = 4;

export function difference(without, biased, emotions) {
  const before = without.own?.summary ?? {}, after = biased.own?.summary ?? {};
  const changed = Object.keys(after)
    .filter((name) => emotions.has(name) && before[name])
    .map((name) => ({ name, from: before[name].mean, to: after[name].mean }))
    .sort((a, b) => Math.abs(b.to - b.from) - Math.abs(a.to - a.from))
    .slice(0, ROWS);
  if (!changed.length) return null;
  const table = document.createElement("table");
  table.className = "difference";
  const caption = table.createCaption();
  caption.textContent = "What changed most: mean z without the bias (hollow) and with it (filled)";
  for (const { name, from, to } of changed.sort((a, b) => (b.to - b.from) - (a.to - a.from))) {
    const row = table.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    const cell = row.insertCell();
    cell.className = "dumbbell";
    cell.append(line(from, to), dot(from, "from"), dot(to, to >= from ? "to up" : "to down"));
    row.insertCell().textContent = `${signed(from)} → ${signed(to)}`;
  }
  return table;
}

const place = (z) => 50 + (Math.max(-SCALE, Math.min(SCALE, z)) / SCALE) * 50;

function dot(z, kind) {
  const mark = document.createElement("i");
  mark.className = kind;
  mark.style.left = `${place(z)}%`;
  return mark;
}

function line(from, to) {
  const mark = document.createElement("i");
  mark.className = to >= from ? "span up" : "span down";
  mark.style.left = `${Math.min(place(from), place(to))}%`;
  mark.style.width = `${Math.abs(place(from) - place(to))}%`;
  return mark;
}
