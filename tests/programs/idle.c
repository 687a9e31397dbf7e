// Waits for the suite: as a static program, one that memtrace refuses.
#include "truth.h"

int main(void) {
    wait_for_go();
    wait_for_line();
    return 0;
}
