// One cell's picture: a window into a sprite sheet, or for an added cell into its field.

import { fieldId, pictureUrl, spriteId, type Slide } from "../model/data";
import type { Reading } from "../model/reading";

export function cropStyle(slide: Slide, index: number, reading: Reading, cell: number, side: number, umPerPx: number): Record<string, string> {
  const { px, columns, per_sheet, um, places } = slide.sprite;
  if (cell < slide.cells.field.length) {
    const place = places[cell]!;
    const sheet = Math.floor(place / per_sheet);
    const at = place % per_sheet;
    const scale = side / px;
    return {
      backgroundImage: `url("${pictureUrl(spriteId(index, sheet))}")`,
      backgroundSize: `${columns * px * scale}px auto`,
      backgroundPosition: `${-(at % columns) * px * scale}px ${-Math.floor(at / columns) * px * scale}px`,
    };
  }
  const field = slide.fields[reading.fieldOf(cell)]!;
  if (!field.picture) return {};
  const box = reading.boxOf(cell);
  const scale = side / (um / umPerPx); // screen pixels to one of the photograph
  return {
    backgroundImage: `url("${pictureUrl(fieldId(index, reading.fieldOf(cell)))}")`,
    backgroundSize: `${field.width * scale}px ${field.height * scale}px`,
    backgroundPosition: `${side / 2 - ((box[0] + box[2]) / 2) * scale}px ${side / 2 - ((box[1] + box[3]) / 2) * scale}px`,
  };
}

export function probabilityOf(reading: Reading, cell: number): number {
  const { type, probability, probs, blast } = reading.slide.cells;
  if (cell >= type.length) return NaN;
  const name = reading.names[cell];
  if (name === type[cell]) return probability[cell] ?? NaN;
  if (name === "blast") return blast[cell] ?? NaN;
  void probs;
  return NaN;
}
