// Words of the page: one dictionary a language, embedded by Python, so that a new one needs no build.

export type Values = Record<string, string | number>;
export type Say = (key: string, values?: Values) => string;
export type Dictionary = Record<string, string>;

/** Make the function that says things in one language; a key without a word there is said in English. */
export function speaker(dictionaries: Record<string, Dictionary>, language: string): Say {
  const own = dictionaries[language] ?? {};
  const english = dictionaries["en"] ?? {};
  return (key, values) => {
    const template = own[key] ?? english[key] ?? key;
    return values ? template.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)) : template;
  };
}

/** The language of the browser where the page speaks it, else English. */
export function preferred(dictionaries: Record<string, Dictionary>, wanted: readonly string[]): string {
  const found = wanted.map((tag) => tag.toLowerCase().split("-")[0]!).find((tag) => tag in dictionaries);
  return found ?? "en";
}
