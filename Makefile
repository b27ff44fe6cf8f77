# unlearn.c: make            builds build/unlearn and build/libunlearn.a
#            make test       everything, "N passed, N failed, N skipped" at the end
#            make demo       a small world, two requests, one report
#            make check      layers, format, static analysis
.SUFFIXES:
CC      ?= gcc
PKG     := jansson libpcre2-8 libutf8proc libcrypto zlib
OPT     ?= -O2
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter
CFLAGS  += -std=c17 -D_GNU_SOURCE $(OPT) -g -fopenmp -fno-math-errno -fPIC $(WARN) -Iinclude -Isrc -Ibuild/gen $(shell pkg-config --cflags $(PKG) 2>/dev/null) $(shell pkg-config --cflags openblas 2>/dev/null)
LDLIBS  += $(shell pkg-config --libs $(PKG) 2>/dev/null) $(shell pkg-config --libs openblas 2>/dev/null || echo -lopenblas) -llapacke -lm -fopenmp

LIB_SRC := $(sort $(filter-out src/cli/%,$(wildcard src/*/*.c src/*/*/*.c)))
CLI_SRC := $(sort $(wildcard src/cli/*.c))
LIB_OBJ := $(LIB_SRC:src/%.c=build/obj/%.o) build/obj/gen/registry.o
CLI_OBJ := $(CLI_SRC:src/%.c=build/obj/%.o) build/obj/gen/verbs.o

all: build/unlearn
build/unlearn: $(CLI_OBJ) build/libunlearn.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) build/libunlearn.a $(LDLIBS)
build/libunlearn.a: $(LIB_OBJ)
	rm -f $@ && ar rcs $@ $(LIB_OBJ)
build/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# The registry of plug-ins is generated from the files themselves: there is no second list.
PLUGINS := $(wildcard src/methods/*.c src/sources/*.c src/audits/*.c src/model/arch/*.c)
build/gen/registry.c: tools/registry $(PLUGINS)
	@mkdir -p $(@D)
	tools/registry lib > $@.tmp && mv $@.tmp $@
build/gen/verbs.c: tools/registry $(CLI_SRC)
	@mkdir -p $(@D)
	tools/registry cli > $@.tmp && mv $@.tmp $@
build/obj/gen/%.o: build/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d)
clean:
	rm -rf build
.PHONY: all clean
