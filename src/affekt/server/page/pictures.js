// The trace of the strongest concepts and the map of valence and arousal.

import { style } from "./colour.js";

const LINES = 6;
const COLOURS = ["#e8590c", "#1c7ed6", "#2f9e44", "#9c36b5", "#c2255c", "#0c8599"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const plain = { displayModeBar: false, responsive: true };

const layout = (more) => ({
  margin: { l: 42, r: 8, t: 8, b: 36 },
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  font: { color: style("--ink"), size: 12 },
  showlegend: false,
  ...more,
});
const axis = (title, more = {}) => ({
  title: { text: title }, gridcolor: style("--line"), zerolinecolor: style("--soft"), ...more,
});

// z of the concepts that are strongest over the whole reply, and the monitors' thresholds.
export function trace(element, tokens, monitors) {
  const sums = new Map();
  for (const { z } of tokens) {
    for (const [name, value] of Object.entries(z ?? {})) {
      if (name === "valence" || name === "arousal") continue;
      sums.set(name, (sums.get(name) ?? 0) + value);
    }
  }
  const strongest = [...sums].sort((a, b) => b[1] - a[1]).slice(0, LINES).map(([name]) => name);
  const lines = strongest.map((name, at) => ({
    name,
    x: tokens.map((_, place) => place),
    y: tokens.map(({ z }) => z?.[name] ?? null),
    text: tokens.map(({ text }) => text),
    mode: "lines+markers",
    marker: { size: 4 },
    line: { color: COLOURS[at], dash: DASHES[at], width: 2 },
    hovertemplate: `${name} %{y:.2f} at “%{text}”<extra></extra>`,
  }));
  const limits = monitors.map((monitor) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, y0: monitor.threshold, y1: monitor.threshold,
    line: { color: style("--red"), dash: "dot", width: 1.5 },
    label: { text: monitor.name, font: { size: 10, color: style("--soft") } },
  })).filter((limit) => Math.abs(limit.y0) < 20);
  const more = {
    showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11 } },
    margin: { l: 42, r: 8, t: 44, b: 36 }, shapes: limits,
    xaxis: axis("token"), yaxis: axis("z"),
  };
  window.Plotly.react(element, lines, layout(more), plain);
}

export class AffectMap {
  constructor(element, concepts) {
    this.element = element;
    this.places = new Map(concepts.filter(({ place }) => place).map(({ name, place }) => [name, place]));
    this.path = [];
    this.draw([]);
  }

  // The middle of a token's strongest concepts, each weighted by the square of its z.
  centre(z) {
    let x = 0, y = 0, weights = 0;
    for (const [name, value] of Object.entries(z ?? {})) {
      const place = this.places.get(name);
      if (!place || value <= 0) continue;
      const weight = value * value;
      x += weight * place.valence;
      y += weight * place.arousal;
      weights += weight;
    }
    return weights ? [x / weights, y / weights] : null;
  }

  draw(tokens) {
    const entries = [...this.places];
    const named = (from) => entries.filter(([, place]) => place.from === from);
    const dots = (from, symbol) => ({
      x: named(from).map(([, place]) => place.valence),
      y: named(from).map(([, place]) => place.arousal),
      text: named(from).map(([name]) => name),
      mode: "markers",
      marker: { symbol, size: 6, color: style("--soft"), opacity: 0.65 },
      hovertemplate: "%{text}<extra></extra>",
    });
    const path = tokens.map(({ z }) => this.centre(z)).filter(Boolean);
    // A mean over the last tokens, since single tokens jump.
    const smooth = path.map((_, at) => {
      const window = path.slice(Math.max(0, at - 7), at + 1);
      return [0, 1].map((axis) => window.reduce((sum, place) => sum + place[axis], 0) / window.length);
    });
    const trail = {
      x: smooth.map(([x]) => x), y: smooth.map(([, y]) => y), mode: "lines",
      line: { color: style("--accent"), width: 1.5 }, opacity: 0.6, hoverinfo: "skip",
    };
    const last = smooth.at(-1);
    const ring = {
      x: last ? [last[0]] : [], y: last ? [last[1]] : [], mode: "markers",
      marker: { symbol: "circle-open", size: 18, color: style("--accent"), line: { width: 3 } },
      hovertemplate: "the reply<extra></extra>",
    };
    const labels = nearest(entries, last).map(([name, place]) => ({
      x: place.valence, y: place.arousal, text: name, showarrow: false, yshift: 9,
      font: { size: 10, color: style("--ink") },
    }));
    const more = {
      annotations: labels,
      xaxis: axis("unpleasant → pleasant", { zeroline: false }),
      yaxis: axis("still → stirred", { zeroline: false }),
    };
    const data = [dots("vectors", "circle-open"), dots("human", "circle"), trail, ring];
    window.Plotly.react(this.element, data, layout(more), plain);
  }
}

const SIGNPOSTS = ["happy", "calm", "afraid", "sad", "angry", "excited", "bored", "desperate", "proud"];

function nearest(entries, last) {
  const posts = entries.filter(([name]) => SIGNPOSTS.includes(name));
  if (!last) return posts;
  const far = ([, place]) => Math.hypot(place.valence - last[0], place.arousal - last[1]);
  const close = [...entries].sort((a, b) => far(a) - far(b)).slice(0, 1);
  return [...new Map([...posts, ...close])];
}
