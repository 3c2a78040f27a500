// Red above neutral, blue below, full at |z| = 4: the same scale as in Affekt's other pictures.

const SCALE = 4;

export function background(z) {
  if (z === undefined || z === null) return "var(--ground)";
  const share = Math.min(Math.abs(z) / SCALE, 1) * 100;
  return `color-mix(in srgb, var(--${z > 0 ? "red" : "blue"}) ${share.toFixed(0)}%, var(--ground))`;
}

// A token's colour, which flows in from the one before.
export const ribbon = (before, z) => `linear-gradient(90deg, ${background(before ?? z)}, ${background(z)} .55em)`;

export const signed = (z) => (z >= 0 ? "+" : "−") + Math.abs(z).toFixed(2);

export const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const dark = () => window.matchMedia("(prefers-color-scheme: dark)").matches;
