import type { Reading } from "../model/reading";
import { className, usePage } from "./context";
import { dropTarget } from "./gallery";

/** What a person does to cells, told aloud. */
export function useNaming(index: number, reading: Reading) {
  const { desk, say, announce } = usePage();
  const blocked = (): boolean => {
    if (reading.signed) announce(say("sign.locked"));
    return reading.signed !== "";
  };
  return {
    name(cells: number[], to: string): boolean {
      if (blocked() || !desk.take(index, { do: "name", cells, to })) return false;
      announce(say("said.named", { n: cells.length, name: className(say, to) }));
      return true;
    },
    confirm(cells: number[]): boolean {
      const sure = cells.filter((i) => reading.names[i] !== "unclassified" && reading.names[i] !== "");
      if (blocked() || !desk.take(index, { do: "confirm", cells: sure })) return false;
      announce(say("said.confirmed", { n: sure.length }));
      return true;
    },
    remove(cells: number[]): boolean {
      if (blocked() || !desk.take(index, { do: "remove", cells })) return false;
      announce(say("said.removed", { n: cells.length }));
      return true;
    },
  };
}

interface Props {
  index: number;
  reading: Reading;
  enabled: boolean;
  onName: (name: string) => void;
  onDrop?: (name: string, cells: number[]) => void;
}

export function Palette({ reading, enabled, onName, onDrop }: Props) {
  const { desk, say } = usePage();
  return (
    <div class="palette" role="group" aria-label={say("gallery.name_as")}>
      {desk.run.classes.map((c) => (
        <button key={c.name} type="button" class="chip" data-class={c.name} aria-disabled={!enabled || reading.signed !== ""}
          title={className(say, c.name)} onClick={() => enabled && onName(c.name)} {...dropTarget(!reading.signed && !!onDrop, (cells) => onDrop?.(c.name, cells))}>
          <span class="dot" aria-hidden="true" style={{ backgroundColor: c.color }} />
          <bdi>{className(say, c.name)}</bdi>{c.key && <kbd aria-hidden="true">{c.key.toUpperCase()}</kbd>}
        </button>
      ))}
    </div>
  );
}
