import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Slide } from "../model/data";
import { fineNames } from "../model/fine";
import { REMOVED, UNCLASSIFIED, type Reading } from "../model/reading";
import { neighbor, rows, sections, type Filter, type Order, type Row, type Section } from "./arrange";
import { className, go, href, useNumbers, usePage } from "./context";
import { cropStyle, probabilityOf } from "./crop";
import { FineLine } from "./fine";
import { Palette, useNaming } from "./palette";

const SIDES = { s: 64, m: 92, l: 140 };
const CAPTION = 24;
const FINE_LINE = 16;
const GAP = 6;
const FILTERS = ["all", "unclassified", "possible", "unsure", "person", "teach"] as const;

interface Props {
  index: number;
  slide: Slide;
  reading: Reading;
  version: number;
  start: number | null;
}

export function Gallery({ index, slide, reading, version, start }: Props) {
  const { desk, say } = usePage();
  const [filter, setFilter] = useState<Filter>("all");
  const [order, setOrder] = useState<Order>("sure");
  const [size, setSize] = useState<keyof typeof SIDES>("m");
  const [active, setActive] = useState(start ?? -1);
  const [anchor, setAnchor] = useState(-1);
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set(start === null ? [] : [start]));
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, width: 800 });
  const room = view.width - 16 + GAP;
  const columns = Math.max(1, Math.floor(room / (SIDES[size] + GAP)));
  const side = Math.floor(room / columns) - GAP; // what is left over makes the crops larger
  const list = useMemo(() => sections(desk.run, slide, reading, filter, order), [version, reading, filter, order]);
  const fine = useMemo(() => fineNames(reading), [reading]);
  const caption = CAPTION + (fine.length > 0 ? FINE_LINE : 0);
  const laid = useMemo(() => rows(list, columns, side + caption + GAP), [list, columns, side, caption]);
  const naming = useNaming(index, reading);

  useLayoutEffect(() => {
    const element = box.current!;
    const measure = (): void => setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (start !== null) {
      show(laid.rows, start);
      box.current?.focus({ preventScroll: true });
    }
  }, []);

  const show = (of: Row[], cell: number): void => {
    const row = of.find((r) => r.cells.includes(cell));
    const element = box.current;
    if (!row || !element) return;
    if (row.y - 40 < element.scrollTop) element.scrollTop = Math.max(row.y - 40, 0);
    else if (row.y + row.height > element.scrollTop + element.clientHeight) element.scrollTop = row.y + row.height - element.clientHeight;
  };
  const move = (to: number, extend: boolean): void => {
    if (to < 0) return;
    const flat = laid.rows.flatMap((r) => r.cells);
    if (extend) {
      const from = anchor >= 0 && flat.includes(anchor) ? anchor : active;
      const [a, b] = [flat.indexOf(from), flat.indexOf(to)].sort((x, y) => x - y) as [number, number];
      setSelected(new Set(flat.slice(Math.max(a, 0), b + 1)));
      setAnchor(from);
    } else {
      setSelected(new Set([to]));
      setAnchor(to);
    }
    setActive(to);
    show(laid.rows, to);
  };
  /** The cells that an action is for; afterwards the next one is active. */
  const act = (action: (cells: number[]) => boolean, given: Iterable<number> = selected): void => {
    const cells = [...given].filter((i) => i < reading.count);
    const flat = laid.rows.flatMap((r) => r.cells);
    const at = flat.indexOf(cells.includes(active) ? active : cells[0] ?? -1);
    if (!action(cells)) return;
    const left = (i: number): boolean => !cells.includes(i);
    const next = flat.slice(at + 1).find(left) ?? flat.slice(0, Math.max(at, 0)).reverse().find(left) ?? -1;
    setActive(next);
    setAnchor(next);
    setSelected(new Set(next < 0 ? [] : [next]));
  };
  useEffect(() => { // keep what is active in sight when cells have moved
    if (active >= 0) show(laid.rows, active);
  }, [version]);

  const keyed = (event: KeyboardEvent): void => {
    if (event.key.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown"].includes(event.key)) {
      move(neighbor(laid.rows, active, event.key), event.shiftKey);
    } else if (event.key === " ") {
      const next = new Set(selected);
      if (!next.delete(active)) next.add(active);
      setSelected(next);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      const own = list.find((s) => s.cells.includes(active)) ?? list[0];
      setSelected(new Set(own?.cells ?? []));
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (event.key === "Escape") {
      setSelected(new Set());
    } else if (event.key === "Enter") {
      act((cells) => naming.confirm(cells));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      act((cells) => naming.remove(cells));
    } else if (event.key.toLowerCase() === "f" && active >= 0) {
      go(href(index, "fields", reading.fieldOf(active), active));
    } else if (event.key === "+" || event.key === "-") {
      const order = Object.keys(SIDES) as (keyof typeof SIDES)[];
      setSize(order[Math.min(Math.max(order.indexOf(size) + (event.key === "+" ? 1 : -1), 0), 2)]!);
    } else {
      const own = desk.run.classes.find((c) => c.key && c.key === event.key.toLowerCase());
      if (!own) return;
      act((cells) => naming.name(cells, own.name));
    }
    event.preventDefault();
  };
  const dropped = (cells: number[], section: Section): void => {
    if (section.to === null) return;
    const to = section.to;
    act((own) => (to === REMOVED ? naming.remove(own) : naming.name(own, to)), cells);
  };
  const pressed = (event: MouseEvent, cell: number): void => {
    box.current?.focus({ preventScroll: true });
    if (event.shiftKey) move(cell, true);
    else if (event.ctrlKey || event.metaKey) {
      const next = new Set(selected);
      if (!next.delete(cell)) next.add(cell);
      setSelected(next);
      setActive(cell);
    } else move(cell, false);
  };
  const dragged = (event: DragEvent, cell: number): void => {
    const cells = selected.has(cell) ? [...selected] : [cell];
    if (!selected.has(cell)) setSelected(new Set([cell]));
    event.dataTransfer?.setData("application/x-smearscan-cells", JSON.stringify(cells));
    event.dataTransfer?.setData("text/plain", String(cells.length));
    if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
  };

  const from = view.top - 300;
  const until = view.top + view.height + 300;
  const visible = laid.rows.filter((r) => r.y + r.height > from && r.y < until);
  const total = list.reduce((s, part) => s + part.cells.length, 0);
  const position = new Map(active >= 0 ? [[active, laid.rows.flatMap((r) => r.cells).indexOf(active) + 1]] : []);
  return (
    <section class="gallery" aria-label={say("tab.gallery")}>
      <div class="toolbar">
        <Palette index={index} reading={reading} enabled={selected.size > 0}
          onName={(name) => { act((cells) => naming.name(cells, name)); box.current?.focus(); }}
          onDrop={(name, cells) => dropped(cells, { id: name, to: name, cells: [] })} />
        <div class="options">
          <button type="button" disabled={!selected.size} onClick={() => act((cells) => naming.confirm(cells))}>{say("gallery.confirm")} <kbd>↵</kbd></button>
          <button type="button" disabled={!selected.size} onClick={() => act((cells) => naming.remove(cells))}>{say("gallery.remove")} <kbd>Del</kbd></button>
          <label><span class="quiet">{say("gallery.show")}</span>{" "}
            <select id="show" value={filter} onChange={(e) => setFilter(e.currentTarget.value as Filter)}>
              {FILTERS.map((name) => <option key={name} value={name}>{say(`filter.${name}`)}</option>)}
              {fine.length > 0 && (
                <optgroup label={say("fine.title")}>
                  {fine.map((name) => <option key={name} value={`fine ${name}`}>{className(say, name, "fine_type")}</option>)}
                </optgroup>
              )}
            </select>
          </label>
          <label><span class="quiet">{say("gallery.order")}</span>{" "}
            <select id="order" value={order} onChange={(e) => setOrder(e.currentTarget.value as Order)}>
              <option value="sure">{say("gallery.surest")}</option>
              <option value="unsure">{say("gallery.unsure")}</option>
              {fine.length > 0 && <option value="fine">{say("gallery.fine")}</option>}
            </select>
          </label>
          <label><span class="quiet">{say("gallery.size")}</span>{" "}
            <select value={size} onChange={(e) => setSize(e.currentTarget.value as keyof typeof SIDES)}>
              {(["s", "m", "l"] as const).map((name) => <option key={name} value={name}>{say(`size.${name}`)}</option>)}
            </select>
          </label>
          <span class="quiet" role="status" aria-live="off">{say("gallery.selected", { selected: selected.size, all: total })}</span>
        </div>
      </div>
      <div ref={box} id="cells" class="cells" tabIndex={0} role="listbox" aria-multiselectable="true" aria-label={say("gallery.cells")}
        aria-activedescendant={active >= 0 ? `cell-${active}` : undefined} onKeyDown={keyed}
        onFocus={() => { if (active < 0 && laid.rows[1]) move(laid.rows[1].cells[0]!, false); }}
        onScroll={(e) => setView({ ...view, top: e.currentTarget.scrollTop })}>
        {total === 0 && <p class="empty">{say("gallery.empty")}</p>}
        <div class="paper" role="presentation" style={{ height: `${laid.height}px` }}>
          {visible.map((row) => row.cells.length === 0 ? (
            <SectionHead key={`head-${row.section.id}`} row={row} onDrop={dropped} />
          ) : (
            <div key={`${row.section.id}-${row.y}`} class="row" role="presentation" data-section={row.section.id} style={{ top: `${row.y}px`, height: `${row.height}px` }}
              {...dropTarget(row.section.to !== null, (cells) => dropped(cells, row.section))}>
              {row.cells.map((cell) => (
                <Tile key={cell} index={index} slide={slide} reading={reading} cell={cell} side={side} active={cell === active}
                  selected={selected.has(cell)} position={position.get(cell)} total={total}
                  onPress={pressed} onDrag={dragged} onOpen={() => go(href(index, "fields", reading.fieldOf(cell), cell))} />
              ))}
            </div>
          ))}
        </div>
      </div>
      <p class="quiet hint">{say("gallery.hint")}</p>
    </section>
  );
}

export function dropTarget(enabled: boolean, onDrop: (cells: number[]) => void) {
  return {
    onDragOver: (event: DragEvent) => {
      if (!enabled) return;
      event.preventDefault();
      (event.currentTarget as HTMLElement).classList.add("over");
    },
    onDragLeave: (event: DragEvent) => (event.currentTarget as HTMLElement).classList.remove("over"),
    onDrop: (event: DragEvent) => {
      (event.currentTarget as HTMLElement).classList.remove("over");
      event.preventDefault();
      const text = event.dataTransfer?.getData("application/x-smearscan-cells");
      if (enabled && text) onDrop(JSON.parse(text) as number[]);
    },
  };
}

function SectionHead({ row, onDrop }: { row: Row; onDrop: (cells: number[], section: Section) => void }) {
  const { desk, say } = usePage();
  const { id, to, cells } = row.section;
  const color = desk.run.classes.find((c) => c.name === id)?.color;
  const title = id === "possible" ? say("section.possible") : id === "removed" ? say("section.removed") : className(say, id);
  return (
    <div class={`head ${id === UNCLASSIFIED || id === "blast" || id === "possible" ? "first" : ""}`} role="presentation" data-section={id}
      style={{ top: `${row.y}px`, height: `${row.height}px` }} {...dropTarget(to !== null, (moved) => onDrop(moved, row.section))}>
      {color && <span class="dot" aria-hidden="true" style={{ backgroundColor: color }} />}
      <span class="title"><bdi>{title}</bdi></span> <span class="quiet">{cells.length}</span>
      {id === UNCLASSIFIED && <span class="quiet">&nbsp;· {say("section.unclassified")}</span>}
    </div>
  );
}

interface TileProps {
  index: number;
  slide: Slide;
  reading: Reading;
  cell: number;
  side: number;
  active: boolean;
  selected: boolean;
  position: number | undefined;
  total: number;
  onPress: (event: MouseEvent, cell: number) => void;
  onDrag: (event: DragEvent, cell: number) => void;
  onOpen: () => void;
}

function Tile({ index, slide, reading, cell, side, active, selected, position, total, onPress, onDrag, onOpen }: TileProps) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const name = reading.names[cell]!;
  const own = desk.run.classes.find((c) => c.name === name);
  const p = probabilityOf(reading, cell);
  const person = reading.decided[cell] !== "";
  const rank = name === UNCLASSIFIED ? (slide.cells.teach[cell] ?? 0) : 0;
  const title = name === REMOVED ? say("section.removed") : className(say, name);
  return (
    <div id={`cell-${cell}`} class={`tile ${selected ? "selected" : ""} ${active ? "active" : ""}`} role="option" aria-selected={selected}
      aria-posinset={position} aria-setsize={position ? total : undefined}
      draggable={!reading.signed} onClick={(e) => onPress(e, cell)} onDblClick={onOpen} onDragStart={(e) => onDrag(e, cell)} data-name={name}>
      <div class="crop" style={{ width: `${side}px`, height: `${side}px`, ...cropStyle(slide, index, reading, cell, side, desk.run.slides[index]!.um_per_px) }} />
      <div class="caption">
        <span class="unseen">{title}, </span>
        <span class="dot" aria-hidden="true" style={{ backgroundColor: own?.color ?? "transparent" }} />
        <bdi class="short" aria-hidden="true">{own?.short ?? (name === REMOVED ? "×" : name)}</bdi>
        {person ? <span class="person" title={say("cell.person")}><span aria-hidden="true">✓</span><span class="unseen">{say("cell.person")}</span></span>
          : Number.isFinite(p) ? <span class="p">{number(100 * p, 0)}<span class="unseen"> %</span></span> : null}
        <span class="unseen">, {say("cell.number", { cell: cell + 1 })}</span>
        {rank > 0 && <span class="rank" aria-hidden="true" title={say("cell.teach")}>{rank}</span>}
      </div>
      <FineLine reading={reading} cell={cell} />
    </div>
  );
}
