/// <reference types="vite/client" />
import { expect, it } from "vitest";
import css from "./style.css?raw";

type Colours = Record<string, string>;

function coloursOf(block: string): Colours {
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((found) => [found[1] ?? "", found[2] ?? ""]));
}
const [light = "", dark = ""] = [...css.matchAll(/:root \{([^}]*)\}/g)].map((found) => found[1] ?? "");

/** WCAG 2.2: relative luminance, then contrast from 1 to 21. */
function luminance(colour: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red = 0, green = 0, blue = 0] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const texts = [
  ...["text", "quiet", "accent", "bad", "good"].flatMap((text) => ["ground", "panel"].map((ground) => [text, ground])),
  ...["text", "quiet"].map((text) => [text, "raised"]),
  ...["good", "fair", "bad", "busy", "quiet"].map((tone) => [tone, `${tone}-soft`]),
  ["text", "bad-soft"],
  ["accent-text", "accent"],
] as [string, string][];

it.each([
  ["light", light],
  ["dark", dark],
])("text stands out from its ground, 4.5 to 1, in the %s", (_, block) => {
  const colours = coloursOf(block);
  const faint = texts
    .map(([text, ground]) => ({ text, ground, ratio: contrast(colours[text] ?? "", colours[ground] ?? "") }))
    .filter(({ ratio }) => !(ratio >= 4.5));
  expect(faint).toEqual([]);
});
