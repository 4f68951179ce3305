import { useEffect, useMemo } from "preact/hooks";
import { readSlide } from "../model/data";
import { reportSlide } from "../statistics/report";
import { href, usePage, useVersion, type Route, type Tab } from "./context";
import { FieldView } from "./fields";
import { Gallery } from "./gallery";
import { Printed, printSlide } from "./printed";
import { Report } from "./report";
import { Sidebar } from "./sidebar";

const TABS: Tab[] = ["gallery", "fields", "report"];

export function SlideView({ index, route }: { index: number; route: Route }) {
  const { desk, say, announce } = usePage();
  const version = useVersion(desk);
  const slide = readSlide(index);
  const reading = desk.reading(index);
  const entry = desk.run.slides[index]!;
  const report = useMemo(() => reportSlide(reading.tally(entry), desk.run.by, say), [version, reading, say]);

  useEffect(() => {
    const keyed = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
      const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      const key = event.key.toLowerCase();
      const back = key === "z" && !event.shiftKey;
      if (typing || !(back || key === "y" || (key === "z" && event.shiftKey))) return;
      event.preventDefault();
      announce(say(back ? (desk.undo(index) ? "said.undone" : "said.nothing") : desk.redo(index) ? "said.redone" : "said.nothing"));
    };
    addEventListener("keydown", keyed);
    return () => removeEventListener("keydown", keyed);
  }, [index, say]);

  return (
    <>
      <div class="slide">
        <Sidebar index={index} reading={reading} report={report} />
        <div class="work">
          <nav class="tabs" aria-label={say("page.views")}>
            {TABS.map((tab) => (
              <a key={tab} href={href(index, tab)} aria-current={route.tab === tab ? "page" : undefined}>{say(`tab.${tab}`)}</a>
            ))}
            <span class="spacer" />
            <button type="button" id="undo" disabled={!reading.canUndo} onClick={() => desk.undo(index)}>{say("slide.undo")}</button>
            <button type="button" id="redo" disabled={!reading.canRedo} onClick={() => desk.redo(index)}>{say("slide.redo")}</button>
            <button type="button" onClick={() => void printSlide({ index, slide })}>{say("slide.print")}</button>
          </nav>
          {route.tab === "gallery" && <Gallery key={`${desk.current(index)}`} index={index} slide={slide} reading={reading} version={version} start={route.cell} />}
          {route.tab === "fields" && <FieldView index={index} slide={slide} reading={reading} field={route.field ?? 0} cell={route.cell} version={version} />}
          {route.tab === "report" && <Report index={index} reading={reading} report={report} />}
        </div>
      </div>
      <Printed index={index} slide={slide} reading={reading} report={report} />
    </>
  );
}
