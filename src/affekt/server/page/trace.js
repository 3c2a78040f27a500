// The strongest emotions over the tokens of a reply, and the monitors' thresholds.

import { dark, signed, style } from "./colour.js";

const LINES = 5, WINDOW = 5;
const COLOURS = { light: ["#c2410c", "#1d6fd1", "#2b8a3e", "#8e34b8", "#0b7285"], dark: ["#ff9a5c", "#6db1ff", "#69db7c", "#d9a0f5", "#66d9e8"] };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];

export const still = { displayModeBar: false, responsive: true };

export const layout = (more) => ({
  margin: { l: 40, r: 12, t: 8, b: 34 },
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  font: { color: style("--soft"), size: 11.5, family: "system-ui, sans-serif" },
  hoverlabel: { bgcolor: style("--ground"), bordercolor: style("--line"), font: { color: style("--ink"), size: 12 } },
  showlegend: false,
  ...more,
});

export const axis = (title, more = {}) => ({
  title: { text: title, standoff: 6 }, gridcolor: style("--line"), zerolinecolor: style("--line"), ...more,
});

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export function smooth(values, window = WINDOW) {
  return values.map((_, at) => mean(values.slice(Math.max(0, at - window + 1), at + 1)));
}

// Names by their mean over the tokens, the strongest first.
export function strongest(tokens, emotions) {
  const sums = new Map();
  for (const { z } of tokens) {
    for (const [name, value] of Object.entries(z ?? {})) {
      if (emotions.has(name)) sums.set(name, (sums.get(name) ?? 0) + value);
    }
  }
  return [...sums].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

export function trace(element, tokens, monitors, emotions, chosen) {
  const read = tokens.map((token, place) => ({ ...token, place })).filter(({ z }) => z);
  const watched = monitors.map(({ what }) => what).filter((what) => emotions.has(what));
  const first = [...new Set([chosen, ...watched])].filter((name) => emotions.has(name));
  const names = [...new Set([...first.slice(0, 3), ...strongest(read, emotions)])].slice(0, LINES);
  const colours = COLOURS[dark() ? "dark" : "light"];
  const lines = names.map((name, at) => {
    const values = smooth(read.map(({ z }) => z[name] ?? 0));
    return {
      name, x: read.map(({ place }) => place), y: values, text: read.map(({ text }) => text), mode: "lines",
      line: { color: colours[at], dash: DASHES[at], width: name === chosen ? 3.2 : 1.8, shape: "spline", smoothing: 0.6 },
      hovertemplate: `${name} %{y:.2f} at “%{text}”<extra></extra>`,
    };
  });
  const end = Math.max(read.length, 20);
  // A limit far off would flatten the lines: it is shown once they come near.
  const drawn = lines.flatMap(({ y }) => y), high = Math.max(4, ...drawn) + 1, low = Math.min(-2, ...drawn) - 1;
  const limits = monitors.filter(({ threshold }) => threshold < high && threshold > low).map(({ name, threshold }) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, y0: threshold, y1: threshold,
    line: { color: style("--alarm"), dash: "4px 3px", width: 1.2 },
    label: { text: `limit of ${name}`, textposition: "start", font: { size: 10.5, color: style("--alarm") } },
  }));
  const more = {
    shapes: limits, annotations: labels(lines), margin: { l: 40, r: 124, t: 8, b: 34 },
    xaxis: axis("token", { range: [0, end] }), yaxis: axis("z", { zerolinecolor: style("--soft") }),
    uirevision: "trace",
  };
  if (!read.length) {
    Object.assign(more, { margin: { l: 40, r: 12, t: 8, b: 34 } });
    more.annotations = [{ text: "The next reply draws its course here.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.96 }];
    more.yaxis = axis("z", { range: [-2, 5] });
  }
  window.Plotly.react(element, lines, layout(more), still);
}

// Each line's name and last value at its right end, moved apart where they would overlap.
function labels(lines) {
  const ends = lines.filter(({ y }) => y.length)
    .map((line) => ({ line, value: line.y.at(-1) }))
    .sort((a, b) => b.value - a.value);
  const all = lines.flatMap(({ y }) => y), span = (Math.max(...all) - Math.min(...all)) || 1;
  let last = Infinity;
  return ends.map(({ line, value }) => {
    const y = Math.min(value, last - span * 0.085);
    last = y;
    return {
      xref: "paper", x: 1.01, xanchor: "left", y, showarrow: false, align: "left",
      text: `${line.name} ${signed(value)}`, font: { color: line.line.color, size: 11.5 },
    };
  });
}
