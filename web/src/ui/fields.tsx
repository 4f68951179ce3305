import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { fieldId, pictureUrl, type Slide } from "../model/data";
import { REMOVED, UNCLASSIFIED, type Box, type Reading } from "../model/reading";
import { className, go, href, useNumbers, usePage } from "./context";
import { cropStyle, probabilityOf } from "./crop";
import { FineLine } from "./fine";
import { Palette, useNaming } from "./palette";

const CELL_UM = 13;
const CLOSE_UM = 70;

interface Props {
  index: number;
  slide: Slide;
  reading: Reading;
  field: number;
  cell: number | null;
  version: number;
}

interface View {
  x: number;
  y: number;
  width: number;
}

export function FieldView({ index, slide, reading, field, cell, version }: Props) {
  const { desk, say, announce } = usePage();
  const number = useNumbers();
  const at = Math.min(field, slide.fields.length - 1);
  const info = slide.fields[at];
  const umPerPx = desk.run.slides[index]!.um_per_px;
  const [active, setActive] = useState(cell ?? -1);
  const [adding, setAdding] = useState(false);
  const [cross, setCross] = useState<[number, number]>([0, 0]);
  const [view, setView] = useState<View>({ x: 0, y: 0, width: 1 });
  const svg = useRef<SVGSVGElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; view: View; moved: boolean } | null>(null);
  const naming = useNaming(index, reading);
  const cells = useMemo(() => {
    const own: number[] = [];
    for (let i = 0; i < reading.count; i++) if (reading.fieldOf(i) === at) own.push(i);
    return own.sort((a, b) => reading.boxOf(a)[1] - reading.boxOf(b)[1]);
  }, [version, reading, at]);

  useEffect(() => {
    if (!info) return;
    setView({ x: 0, y: 0, width: info.width });
    if (cell !== null && cell < reading.count && reading.fieldOf(cell) === at) {
      setActive(cell);
      close(reading.boxOf(cell));
    } else setActive(-1);
    setAdding(false);
    stage.current?.focus({ preventScroll: true });
  }, [at, cell]);

  if (!info) return <p class="empty">{say("fields.none")}</p>;
  const ratio = info.height / info.width;
  const close = (box: Box): void => {
    const width = Math.min(CLOSE_UM / umPerPx, info.width);
    setView({ x: (box[0] + box[2]) / 2 - width / 2, y: (box[1] + box[3]) / 2 - (width * ratio) / 2, width });
  };
  const zoom = (factor: number, about?: [number, number]): void => {
    const width = Math.min(Math.max(view.width * factor, 8 / umPerPx), info.width * 1.05);
    const [px, py] = about ?? [view.x + view.width / 2, view.y + (view.width * ratio) / 2];
    const k = width / view.width;
    setView({ x: px - (px - view.x) * k, y: py - (py - view.y) * k, width });
  };
  const place = (event: { clientX: number; clientY: number }): [number, number] => {
    const matrix = svg.current!.getScreenCTM()!.inverse();
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    return [point.x, point.y];
  };
  const add = ([x, y]: [number, number]): void => {
    if (x < 0 || y < 0 || x >= info.width || y >= info.height) return;
    const half = CELL_UM / umPerPx / 2;
    const round = (v: number): number => Math.round(v * 10) / 10;
    const box: Box = [round(Math.max(x - half, 0)), round(Math.max(y - half, 0)), round(Math.min(x + half, info.width)), round(Math.min(y + half, info.height))];
    if (!desk.take(index, { do: "add", field: at, box, to: UNCLASSIFIED })) return announce(say("sign.locked"));
    setActive(reading.count - 1);
    setAdding(false);
    announce(say("said.added"));
  };
  const step = (by: number): void => {
    const next = at + by;
    if (next >= 0 && next < slide.fields.length) go(href(index, "fields", next));
  };
  const check = (on: boolean): void => { if (!desk.take(index, { do: "check", field: at, on })) announce(say("sign.locked")); };
  const chosen = active >= 0 && active < reading.count ? [active] : [];
  const keyed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key;
    if (adding && key.startsWith("Arrow")) {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] as [number, number];
      const by = view.width / (event.shiftKey ? 10 : 40);
      setCross([cross[0] + dx * by, cross[1] + dy * by]);
    } else if (adding && key === "Enter") add(cross);
    else if (key === "Escape") setAdding(false);
    else if (key === ".") startAdding(!adding);
    else if (key === "ArrowRight" || key === "ArrowDown" || key === "ArrowLeft" || key === "ArrowUp") {
      const by = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
      const next = cells[(cells.indexOf(active) + by + cells.length) % cells.length];
      if (next !== undefined) setActive(next);
    } else if (key === "[" || key === "PageUp") step(-1);
    else if (key === "]" || key === "PageDown") step(1);
    else if (key === "+" || key === "=") zoom(1 / 1.4);
    else if (key === "-") zoom(1.4);
    else if (key === "0") setView({ x: 0, y: 0, width: info.width });
    else if (key.toLowerCase() === "k") check(!reading.checked.has(at));
    else if (key.toLowerCase() === "g" && chosen.length) go(href(index, "gallery", at, active));
    else if (key === "Enter") naming.confirm(chosen);
    else if (key === "Delete" || key === "Backspace") naming.remove(chosen);
    else {
      const own = desk.run.classes.find((c) => c.key && c.key === key.toLowerCase());
      if (!own) return;
      naming.name(chosen, own.name);
    }
    event.preventDefault();
  };
  const startAdding = (on: boolean): void => {
    if (on && reading.signed) return announce(say("sign.locked"));
    setAdding(on);
    setCross([view.x + view.width / 2, view.y + (view.width * ratio) / 2]);
    stage.current?.focus({ preventScroll: true });
    if (on) announce(say("fields.adding"));
  };
  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    drag.current = { x: event.clientX, y: event.clientY, view, moved: false };
    stage.current?.focus({ preventScroll: true });
  };
  const moved = (event: PointerEvent): void => {
    const start = drag.current;
    if (!start) return;
    const unit = view.width / svg.current!.clientWidth;
    const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
    if (!start.moved && Math.hypot(dx, dy) < 5) return;
    if (!start.moved) svg.current!.setPointerCapture(event.pointerId);
    start.moved = true;
    setView({ ...start.view, x: start.view.x - dx * unit, y: start.view.y - dy * unit });
  };
  const up = (event: PointerEvent): void => {
    const start = drag.current;
    drag.current = null;
    if (start && !start.moved && adding) add(place(event));
  };
  const font = view.width / 60;
  const shown = cells.filter((i) => reading.names[i] !== REMOVED);
  return (
    <section class="fieldview" aria-label={say("tab.fields")}>
      <div class="toolbar">
        <Palette index={index} reading={reading} enabled={chosen.length > 0} onName={(name) => { naming.name(chosen, name); stage.current?.focus(); }} />
        <div class="options">
          <button type="button" id="previous" onClick={() => step(-1)} disabled={at === 0} aria-label={say("fields.previous")}>‹</button>
          <label><span class="unseen">{say("fields.field")}</span>
            <select id="field" value={String(at)} onChange={(e) => go(href(index, "fields", Number(e.currentTarget.value)))}>
              {slide.fields.map((f, k) => <option key={k} value={String(k)}>{k + 1} · {f.name}{reading.checked.has(k) ? " ✓" : ""}</option>)}
            </select>
          </label>
          <button type="button" id="next" onClick={() => step(1)} disabled={at === slide.fields.length - 1} aria-label={say("fields.next")}>›</button>
          <button type="button" id="add" aria-pressed={adding} onClick={() => startAdding(!adding)}>{say("fields.add")} <kbd>.</kbd></button>
          <button type="button" disabled={!chosen.length} onClick={() => naming.remove(chosen)}>{say("gallery.remove")} <kbd>Del</kbd></button>
          <label class="check"><input type="checkbox" id="checked" checked={reading.checked.has(at)} onChange={(e) => check(e.currentTarget.checked)} /> {say("fields.checked")} <kbd>K</kbd></label>
          <span class="spacer" />
          <button type="button" onClick={() => zoom(1 / 1.4)} aria-label={say("fields.closer")}>+</button>
          <button type="button" onClick={() => zoom(1.4)} aria-label={say("fields.farther")}>−</button>
          <button type="button" onClick={() => setView({ x: 0, y: 0, width: info.width })}>{say("fields.whole")}</button>
        </div>
      </div>
      <div class="field">
        <div ref={stage} class={`stage ${adding ? "adding" : ""}`} id="stage" tabIndex={0} role="application" aria-label={say("fields.stage", { field: at + 1, cells: shown.length })} onKeyDown={keyed}>
          <svg ref={svg} viewBox={`${view.x} ${view.y} ${view.width} ${view.width * ratio}`} onPointerDown={down} onPointerMove={moved} onPointerUp={up}
            onWheel={(e) => { e.preventDefault(); zoom(e.deltaY < 0 ? 1 / 1.2 : 1.2, place(e)); }} aria-hidden="true">
            {info.picture ? <image href={pictureUrl(fieldId(index, at))} x="0" y="0" width={info.width} height={info.height} preserveAspectRatio="none" />
              : <><rect class="missing" width={info.width} height={info.height} /><text class="missing" x={info.width / 2} y={info.height / 2} font-size={info.width / 40}>{say("fields.missing")}</text></>}
            {shown.map((i) => {
              const [x0, y0, x1, y1] = reading.boxOf(i);
              const own = desk.run.classes.find((c) => c.name === reading.names[i]);
              const label = own?.short ?? reading.names[i]!;
              return (
                <g key={i} class={`box ${i === active ? "active" : ""} ${reading.names[i] === UNCLASSIFIED ? "unnamed" : ""}`} data-cell={i} onClick={(e) => { e.stopPropagation(); if (!adding) setActive(i); }} onDblClick={() => go(href(index, "gallery", at, i))}>
                  <rect class="halo" x={x0} y={y0} width={x1 - x0} height={y1 - y0} />
                  <rect class="edge" x={x0} y={y0} width={x1 - x0} height={y1 - y0} stroke={own?.color ?? "gray"} />
                  <text x={x0} y={y0 - font * 0.35} font-size={font}>{label}{reading.decided[i] ? " ✓" : ""}</text>
                </g>
              );
            })}
            {adding && <g class="cross"><line x1={cross[0] - font} x2={cross[0] + font} y1={cross[1]} y2={cross[1]} /><line x1={cross[0]} x2={cross[0]} y1={cross[1] - font} y2={cross[1] + font} /></g>}
          </svg>
          <p class="bartext" aria-hidden="true"><span class="scalebar" style={{ width: `${(100 * 10) / umPerPx / view.width}%` }} /> 10 µm</p>
        </div>
        <div class="beside">
          <h2>{say("fields.cells", { n: cells.length })}</h2>
          <ul>
            {cells.map((i) => {
              const p = probabilityOf(reading, i);
              const name = reading.names[i]!;
              return (
                <li key={i}>
                  <button type="button" class={i === active ? "selected" : ""} aria-pressed={i === active} onClick={() => { setActive(i); if (!adding) close(reading.boxOf(i)); }}>
                    <span class="crop" style={{ width: "44px", height: "44px", ...cropStyle(slide, index, reading, i, 44, umPerPx) }} />
                    <span><bdi>{name === REMOVED ? say("section.removed") : className(say, name)}</bdi>{" "}
                      <span class="quiet">{reading.decided[i] ? `✓ ${say("cell.person")}` : Number.isFinite(p) ? `${number(100 * p, 0)} %` : ""}</span>
                      <FineLine reading={reading} cell={i} /></span>
                  </button>
                  <a href={href(index, "gallery", at, i)} aria-label={say("fields.to_gallery", { cell: i + 1 })}>G</a>
                </li>
              );
            })}
          </ul>
        </div>
      </div>
      <p class="quiet hint">{say(adding ? "fields.adding" : "fields.hint")}</p>
    </section>
  );
}
