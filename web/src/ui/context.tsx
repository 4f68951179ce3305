// What every part of the page reaches for: the desk, the words, where the reader is.

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { Desk } from "../model/desk";
import type { Say } from "../words";

export interface Context {
  desk: Desk;
  say: Say;
  language: string;
  announce: (text: string) => void;
}

export const PageContext = createContext<Context>(null as unknown as Context);
export const usePage = (): Context => useContext(PageContext);

/** Draw again whenever work changes; gives a number that tells one state from the next. */
export function useVersion(desk: Desk): number {
  const [version, set] = useState(desk.version);
  useEffect(() => desk.listen(() => set(desk.version)), [desk]);
  return version;
}

export type Tab = "gallery" | "fields" | "report";

export interface Route {
  slide: number | null;
  tab: Tab;
  field: number | null;
  cell: number | null;
}

/** Where an address leads; a file that holds one slide of many opens it at once. */
export function parseRoute(hash: string, here: number[], alone = false): Route {
  const [, , slide, tab, field, cell] = hash.split("/");
  const number = (text: string | undefined): number | null => (text && /^\d+$/.test(text) ? Number(text) : null);
  const index = number(slide);
  return {
    slide: index !== null && here.includes(index) ? index : alone && hash !== "#/" ? here[0]! : null,
    tab: tab === "fields" || tab === "report" ? tab : "gallery",
    field: number(field),
    cell: number(cell),
  };
}

export function href(slide: number | null, tab: Tab = "gallery", field?: number, cell?: number): string {
  if (slide === null) return "#/";
  return "#/" + ["slide", slide, tab, ...(field === undefined ? [] : [field]), ...(cell === undefined ? [] : [cell])].join("/");
}

export function go(target: string): void {
  location.hash = target;
}

export function useRoute(here: number[], alone: boolean): Route {
  const [hash, set] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => set(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return parseRoute(hash, here, alone);
}

/** A class or a fine type in the language of the page; a class of one's own keeps its name. */
export function className(say: Say, name: string, kind: "class" | "fine_type" = "class"): string {
  const key = `${kind}.${name}`;
  const word = say(key);
  return word === key ? name.replaceAll("_", " ") : word;
}

export function useNumbers(): (value: number, digits?: number) => string {
  const { language } = usePage();
  return (value, digits = 1) =>
    Number.isFinite(value)
      ? new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false }).format(value)
      : "–";
}
