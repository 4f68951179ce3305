import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Desk } from "../model/desk";
import { corrections, download, fileName, takeIn } from "../model/file";
import { preferred, speaker } from "../words";
import { href, PageContext, useRoute, useVersion } from "./context";
import { Help } from "./help";
import { SlideList } from "./slides";
import { SlideView } from "./slide";

type Theme = "auto" | "light" | "dark";

function remembered(key: string): string {
  try {
    return localStorage.getItem(`smearscan:${key}`) ?? "";
  } catch {
    return "";
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`smearscan:${key}`, value);
  } catch {
    // the choice lasts as long as the page is open
  }
}

export function App({ desk }: { desk: Desk }) {
  const { run } = desk;
  const languages = Object.keys(run.words);
  const [language, setLanguage] = useState(() => {
    const own = remembered("language");
    return languages.includes(own) ? own : preferred(run.words, navigator.languages);
  });
  const [theme, setTheme] = useState<Theme>(() => (["light", "dark"].includes(remembered("theme")) ? (remembered("theme") as Theme) : "auto"));
  const [said, announce] = useState("");
  const say = useMemo(() => speaker(run.words, language), [language]);
  const route = useRoute(run.here, run.index !== "");
  useVersion(desk);

  useEffect(() => {
    document.documentElement.lang = language;
    remember("language", language);
  }, [language]);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    remember("theme", theme);
  }, [theme]);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent): void => {
      if (desk.unsaved && desk.trouble) event.preventDefault(); // nothing else holds the work
    };
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, []);

  const slide = route.slide !== null ? run.slides[route.slide]! : null;
  document.title = `${slide ? `${slide.name} · ` : ""}${run.title} · smearscan`;
  return (
    <PageContext.Provider value={{ desk, say, language, announce }}>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), document.getElementById("main")?.focus())}>{say("page.skip")}</a>
      <header class="bar">
        <nav class="crumbs" aria-label={say("page.where")}>
          <a href={run.index || href(null)} class="brand"><span aria-hidden="true" class="mark" />smearscan</a>
          {slide ? <span class="crumb"><bdi>{slide.name}</bdi></span> : <span class="crumb"><bdi>{run.title}</bdi></span>}
        </nav>
        <p class="notice"><span aria-hidden="true">⚠ </span>{say("page.notice")}</p>
        <Tools desk={desk} say={say} announce={announce} />
        <div class="tools">
          <label><span class="quiet">{say("page.language")}</span>{" "}
            <select value={language} onChange={(e) => setLanguage(e.currentTarget.value)}>
              {languages.map((tag) => <option key={tag} value={tag} lang={tag}>{run.words[tag]!["language.name"] ?? tag}</option>)}
            </select>
          </label>
          <label><span class="quiet">{say("page.theme")}</span>{" "}
            <select value={theme} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
              {(["auto", "light", "dark"] as const).map((name) => <option key={name} value={name}>{say(`theme.${name}`)}</option>)}
            </select>
          </label>
          <Help />
        </div>
      </header>
      {desk.trouble && <p class="trouble" role="alert">{say("page.not_kept")}</p>}
      <main id="main" tabIndex={-1}>
        {route.slide === null ? <SlideList /> : <SlideView key={route.slide} index={route.slide} route={route} />}
      </main>
      <div class="unseen" role="status" aria-live="polite">{said}</div>
    </PageContext.Provider>
  );
}

function Tools({ desk, say, announce }: { desk: Desk; say: ReturnType<typeof speaker>; announce: (text: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [failed, setFailed] = useState("");
  const open = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    try {
      const taken = takeIn(desk, await file.text());
      setFailed("");
      announce(say("file.taken", { slides: taken }));
    } catch (error) {
      setFailed(say(error instanceof Error && error.message === "run" ? "file.other_run" : "file.no_file"));
    }
  };
  const save = (): void => {
    download(fileName(desk.run), JSON.stringify(corrections(desk)));
    desk.saved();
    announce(say("file.saved"));
  };
  return (
    <div class="tools" role="group" aria-label={say("file.group")}>
      <button type="button" class={desk.unsaved ? "primary" : ""} onClick={save} id="save">{say("file.save")}</button>
      <button type="button" onClick={() => input.current?.click()}>{say("file.open")}</button>
      <input ref={input} type="file" accept=".json,application/json" class="unseen" tabIndex={-1} aria-label={say("file.open")}
        onChange={(e) => { void open(e.currentTarget.files?.[0]); e.currentTarget.value = ""; }} />
      {failed && <span class="trouble" role="alert">{failed}</span>}
    </div>
  );
}
