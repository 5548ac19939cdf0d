/** Whether a live list must hold still: the pointer is over its box, or it is scrolled. */
import { useCallback, useRef } from 'preact/hooks';

export interface Hold {
  /** For the element around the list and all that acts on it. */
  onMouseEnter: () => void;
  onMouseLeave: () => void;
  onScrolled: (scrolled: boolean) => void;
}

export function useHold(onHold: (hold: boolean) => void): Hold {
  const hovered = useRef(false);
  const scrolled = useRef(false);
  const tell = useCallback(() => onHold(hovered.current || scrolled.current), [onHold]);
  return {
    onMouseEnter: () => {
      hovered.current = true;
      tell();
    },
    onMouseLeave: () => {
      hovered.current = false;
      tell();
    },
    onScrolled: (now: boolean) => {
      if (scrolled.current === now) return;
      scrolled.current = now;
      tell();
    },
  };
}
