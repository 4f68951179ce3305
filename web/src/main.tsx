import { render } from "preact";
import { readRun } from "./model/data";
import { Desk } from "./model/desk";
import { excess } from "./statistics/excess";
import { exactInterval } from "./statistics/intervals";
import { reportSlide } from "./statistics/report";
import { agreement } from "./statistics/kappa";
import { App } from "./ui/app";
import { speaker } from "./words";

const run = readRun();
const desk = new Desk(run);
// tests and curious readers ask the page's own arithmetic; nothing else uses this
Object.assign(globalThis, { smearscan: { run, desk, reportSlide, excess, exactInterval, agreement, say: speaker(run.words, "en") } });
const place = document.getElementById("app")!;
place.replaceChildren();
render(<App desk={desk} />, place);
