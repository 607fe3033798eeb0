/* Mount namespaces of children. */
#include "nested_mounts.h"
