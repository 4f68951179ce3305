// What the printer gets: two pages, numbers first, then cells to look at.

import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { pictureUrl, spriteId, type Slide } from "../model/data";
import { REMOVED, type Reading } from "../model/reading";
import type { SlideReport } from "../statistics/report";
import { sections } from "./arrange";
import { DifferentialChart, FlagPill } from "./chart";
import { className, PageContext, useNumbers, usePage } from "./context";
import { cropStyle } from "./crop";
import { DifferentialTable, Provenance, Quality, Suspects } from "./report";
import { BlastLine } from "./sidebar";

const MOST_A_CLASS = 10;
const MOST_CELLS = 80;
const SIDE = 58;

interface Props {
  index: number;
  slide: Slide;
  reading: Reading;
  report: SlideReport;
}

/** Drawn only when the printer asks, and at once: a slide may hold thousands of cells. */
export function Printed(props: Props) {
  const page = usePage();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const draw = (): void => render(<PageContext.Provider value={page}><Pages {...props} /></PageContext.Provider>, place.current!);
    const clear = (): void => render(null, place.current!);
    const keyed = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "p") return;
      event.preventDefault();
      void printSlide(props);
    };
    addEventListener("beforeprint", draw);
    addEventListener("afterprint", clear);
    addEventListener("keydown", keyed);
    return () => {
      removeEventListener("beforeprint", draw);
      removeEventListener("afterprint", clear);
      removeEventListener("keydown", keyed);
    };
  });
  return <div ref={place} />;
}

/** Print once the pictures are there: a printer does not wait for them. */
export async function printSlide({ index, slide }: Pick<Props, "index" | "slide">): Promise<void> {
  const sheets = Math.min(Math.ceil(slide.cells.field.length / slide.sprite.per_sheet), 50);
  const pictures = Array.from({ length: sheets }, (_, sheet) => {
    const picture = new Image();
    picture.src = pictureUrl(spriteId(index, sheet));
    return picture;
  });
  await Promise.allSettled(pictures.map((picture) => picture.decode()));
  print();
}

function Pages({ index, slide, reading, report }: Props) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const entry = desk.run.slides[index]!;
  const signers = desk.readings(index).filter((r) => r.signed);
  const compared = desk.compared(index);
  let room = MOST_CELLS;
  const shown = sections(desk.run, slide, reading, "all", "sure").filter((s) => s.id !== "removed").map((s) => {
    const cells = s.cells.slice(0, Math.min(MOST_A_CLASS, Math.max(room, 0)));
    room -= Math.ceil(cells.length / MOST_A_CLASS) * MOST_A_CLASS;
    return { ...s, shown: cells };
  });
  const banner = (page: number) => (
    <div class="printhead"><span>smearscan · <bdi>{desk.run.title}</bdi> · <bdi>{entry.name}</bdi></span><strong>{say("page.notice")}</strong><span>{page} / 2</span></div>
  );
  return (
    <div class="printed">
      <div class="sheet">
        {banner(1)}
        <h1><bdi>{entry.name}</bdi></h1>
        <div class="line"><FlagPill state={report.flag.state} tier={report.flag.tier} /><BlastLine report={report} /></div>
        <p class="reason">{report.flag.reason}</p>
        <Suspects index={index} />
        <DifferentialTable report={report} />
        <DifferentialChart report={report} />
        <Quality index={index} report={report} />
        {compared && <p>{say("report.readers_told", { a: compared.readers[0], b: compared.readers[1], agreed: compared.agreed, all: compared.cells, kappa: number(compared.kappa, 2) })}</p>}
        <div class="signatures">
          {[0, 1].map((k) => <div key={k}>{signers[k] ? <>{say("sign.by")} <bdi>{signers[k]!.reader}</bdi>, {signers[k]!.signed.slice(0, 16).replace("T", " ")} UTC</> : say("printed.unsigned", { n: k + 1 })}</div>)}
        </div>
      </div>
      <div class="sheet">
        {banner(2)}
        <h2>{say("printed.cells")}</h2>
        {shown.map((s) => s.shown.length > 0 && (
          <div key={s.id} class="printrow">
            <h3><bdi>{s.id === "possible" ? say("section.possible") : s.to === REMOVED ? say("section.removed") : className(say, s.id)}</bdi> <span class="quiet">{s.cells.length > s.shown.length ? say("printed.some", { n: s.shown.length, all: s.cells.length }) : s.cells.length}</span></h3>
            <div>{s.shown.map((i) => <div key={i} class="crop" style={{ width: `${SIDE}px`, height: `${SIDE}px`, ...cropStyle(slide, index, reading, i, SIDE, entry.um_per_px) }} />)}</div>
          </div>
        ))}
        <h2>{say("report.provenance")}</h2>
        <Provenance />
      </div>
    </div>
  );
}
